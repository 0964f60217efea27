"""Compose files and Kubernetes manifests say what the code understands. `make compose-test` runs the former."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import psycopg
import pytest
import yaml

from store.database import Database
from store.joining import worker_settings
from store.settings import Settings
from tests.services.processes import find_program
from tests.store.support import claimed, new_dataset, new_job
from worker.isolation.root import CAPABILITIES

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
COMPOSE = (
    "docker-compose.yml",
    "docker-compose.gpu.yml",
    *(f"deploy/{path.name}" for path in (ROOT / "deploy").glob("*.yml")),
)
#: Variables of the compose files themselves; the rest must be settings.
OF_COMPOSE = {
    "RETORT_PUBLISH", "RETORT_PORT", "RETORT_S3_PORT", "RETORT_PRIVATE_ADDRESS", "RETORT_VERSION", "RETORT_REVISION",
    "RETORT_TORCH", "RETORT_TORCHVISION", "RETORT_TORCH_INDEX", "RETORT_WHEELS", "RETORT_WORKER_CPUS",
    "RETORT_WORKER_MEMORY", "RETORT_API_MEMORY", "RETORT_STOP_GRACE", "RETORT_GPUS", "RETORT_CERTIFICATES",
    "RETORT_HTTPS_PORT", "RETORT_HTTPS_S3_PORT", "RETORT_EXTRAS", "RETORT_RAY_SHARED", "RETORT_RAY_HEAD",
    "RETORT_RAY_PORT",
}  # fmt: skip
PATCHES = {"gpu.yaml", "trainer-user.yaml"}
#: Of Kubernetes alone: not in kubernetes-validate's schemas.
FOREIGN = {"Kustomization", "ScaledObject", "TriggerAuthentication", "RayCluster"}


def documents(*names: str) -> list[dict[str, Any]]:
    return [found for name in names for found in yaml.safe_load_all((KUBERNETES / name).read_text()) if found]


def one(kind: str, name: str) -> dict[str, Any]:
    (found,) = [document for document in documents(name) if document["kind"] == kind]
    return found


@pytest.mark.parametrize(
    "name",
    [*COMPOSE, "Dockerfile", "deploy/env.example", *(f"deploy/kubernetes/{p.name}" for p in KUBERNETES.glob("*.yaml"))],
)
def test_every_variable_is_a_setting(name: str) -> None:
    known = {f"RETORT_{field.upper()}" for field in Settings.model_fields}
    used = set(re.findall(r"\bRETORT_[A-Z0-9_]*[A-Z0-9]\b", (ROOT / name).read_text())) - OF_COMPOSE
    assert used <= known | {f"{variable}_FILE" for variable in known}


@pytest.mark.parametrize("path", sorted(KUBERNETES.glob("*.yaml")), ids=lambda path: path.name)
def test_manifests_are_what_kubernetes_takes(path: Path) -> None:
    found = [document for document in documents(path.name) if document["kind"] not in FOREIGN]
    for document in found if path.name not in PATCHES else []:  # a patch is no whole document
        kubernetes_validate.validate(document, "1.37", strict=True)


def test_the_whole_with_the_patch_for_gpus(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed, so the kustomization was not rendered")
    shutil.copytree(KUBERNETES, tmp_path / "k")
    for patches in ("", *(f"patches: [{{path: {name}}}]\n" for name in sorted(PATCHES))):
        (tmp_path / "k" / "kustomization.yaml").write_text((KUBERNETES / "kustomization.yaml").read_text() + patches)
        done = subprocess.run(["kubectl", "kustomize", str(tmp_path / "k")], capture_output=True, text=True, check=True)
        rendered = list(yaml.safe_load_all(done.stdout))
        for document in rendered:
            kubernetes_validate.validate(document, "1.37", strict=True)
        assert len(rendered) == 6
        assert ("nvidia.com/gpu" in done.stdout) == ("gpu.yaml" in patches)
        assert ("SETUID" in done.stdout) == ("trainer-user.yaml" in patches)


@pytest.mark.parametrize(
    ("kind", "name"), [("Job", "migrate.yaml"), ("Deployment", "api.yaml"), ("Deployment", "worker.yaml")]
)
def test_pods_may_do_little(kind: str, name: str) -> None:
    pod = one(kind, name)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    (container,) = pod["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


def test_the_rights_of_a_worker_are_those_that_its_users_take() -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["worker"]
    (container,) = documents("trainer-user.yaml")[0]["spec"]["template"]["spec"]["containers"]
    assert set(service["cap_add"]) == set(container["securityContext"]["capabilities"]["add"]) == set(CAPABILITIES)
    assert service["cap_drop"] == container["securityContext"]["capabilities"]["drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "RETORT_WORKER_UID=10001" in (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["api.yaml", "migrate.yaml", "worker.yaml", "ray.yaml"])
def test_a_pod_finds_every_file_that_its_settings_name(name: str) -> None:
    """A file that is named and not there keeps a process from starting."""
    settings = one("ConfigMap", "settings.yaml")["data"]
    named = {Path(value).name for key, value in settings.items() if key.endswith("_FILE")}
    specs = [each["spec"]["template"]["spec"] for each in documents(name) if each["kind"] in {"Deployment", "Job"}]
    assert specs
    for spec in specs:
        (secret,) = (each["secret"] for each in spec["volumes"] if each["name"] == "secrets")
        assert named <= {item["path"] for item in secret["items"]} if "items" in secret else True


def test_a_worker_elsewhere_is_told_what_the_files_of_secrets_hold(tmp_path: Path) -> None:
    """deploy/worker.yml names none of the files, which are the first machine's."""
    told = worker_settings(Settings(data_dir=tmp_path), "10.0.0.5")
    text = (ROOT / "deploy" / "worker.yml").read_text().replace("!override", "").replace("!reset", "")
    here = yaml.safe_load(text)["services"]["worker"]["environment"]
    first = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["worker"]["environment"]
    files = {variable for variable in first if variable.endswith("_FILE")}
    assert files
    for variable in files:
        assert here[variable] == ""
        assert variable.removesuffix("_FILE") in set(told) & set(here)


def test_rays_pods_are_asked_what_they_answer() -> None:
    """KubeRay's own probes ask a part of Ray that the images lack; the ports are those that `ray start` is told."""
    spec = one("RayCluster", "ray.yaml")["spec"]
    (hosts,) = spec["workerGroupSpecs"]
    for group, port in ((spec["headGroupSpec"], 6379), (hosts, int(hosts["rayStartParams"]["node-manager-port"]))):
        (container,) = group["template"]["spec"]["containers"]
        assert [container[probe]["tcpSocket"]["port"] for probe in ("readinessProbe", "livenessProbe")] == [port, port]
        pod = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "ray"}, "template": group["template"]}
        kubernetes_validate.validate(pod, "1.37", strict=True)


def test_a_worker_has_longer_to_end_than_its_jobs() -> None:
    grace = Settings.model_fields["cancel_grace_seconds"].default
    assert one("Deployment", "worker.yaml")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > grace
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    stop = compose["services"]["worker"]["stop_grace_period"]
    assert int(re.fullmatch(r"\$\{RETORT_STOP_GRACE:-(\d+)s\}", stop)[1]) > grace  # type: ignore[index]


def test_what_starts_has_an_hour_and_what_runs_two_minutes() -> None:
    """A slow machine imports for minutes; whoever cannot start ends by himself (docs/operations.md)."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    checks = [each["healthcheck"] for each in services if "test" in each.get("healthcheck", {})]
    assert len(checks) == 3
    assert all((check["start_period"], check["timeout"]) == ("1h", "30s") for check in checks)
    images = re.findall(r"^HEALTHCHECK .*", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(images) == 2
    assert all("--start-period=1h" in line for line in images)
    for name in ("api.yaml", "worker.yaml"):
        (container,) = one("Deployment", name)["spec"]["template"]["spec"]["containers"]
        start, life = container["startupProbe"], container["livenessProbe"]
        assert start["periodSeconds"] * start["failureThreshold"] >= 3600
        assert life["periodSeconds"] * life["failureThreshold"] >= 120


def test_images_have_versions_and_no_secret_is_written_down() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name, service in services.items():
        assert re.search(r":(\d|\$\{RETORT_VERSION)", service["image"]), name
        for variable, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|SECRET|_KEY|_URL", variable) and not variable.endswith("_FILE"):
                assert re.fullmatch(r"(\$\{\w+:-(retort)?\})", value), (name, variable)


def test_scaling_in_is_slow() -> None:
    """It may end a worker with a job: long after the queue was full, and one at a time."""
    spec = one("ScaledObject", "autoscale.yaml")["spec"]
    behaviour = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "retort-worker"}
    made = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 8, "behavior": behaviour}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "w"},
        "spec": made,
    }
    kubernetes_validate.validate(scaler, "1.37", strict=True)
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] >= 1800
    assert behaviour["scaleDown"]["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_every_key_of_the_secret_is_on_the_page() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    (login,) = one("TriggerAuthentication", "autoscale.yaml")["spec"]["secretTargetRef"]
    files = [value for name, value in one("ConfigMap", "settings.yaml")["data"].items() if name.endswith("_FILE")]
    for key in ("api_key", login["key"], *(Path(file).name for file in files)):
        assert f"--from-literal={key}=" in page, key


def test_the_queue_that_autoscaling_counts(postgres_url: str) -> None:
    """What waits and what runs, but not what is over; by a role that sees no more of a job than its status."""
    psql = find_program("psql")
    if psql is None:
        pytest.skip("psql is not installed, so queue-reader.sql was not run")
    (trigger,) = one("ScaledObject", "autoscale.yaml")["spec"]["triggers"]
    database = Database(postgres_url)
    database.migrate()
    with database.write() as session:
        from store.repositories import tenants

        tenants.ensure_default(session)
    dataset_id = new_dataset(database)
    running = new_job(database, dataset_id)
    claimed(database, running)
    new_job(database, dataset_id)
    new_job(database, dataset_id, status="failed")
    owner = postgres_url.replace("+psycopg", "")
    script = ["-v", "ON_ERROR_STOP=1", "-v", "password=it's one", "-f", str(KUBERNETES / "queue-reader.sql")]
    subprocess.run([psql, owner, *script], check=True, capture_output=True)
    try:
        with psycopg.connect(owner.replace("//retort@", "//retort_queue@"), autocommit=True) as reader:
            assert reader.execute(trigger["metadata"]["query"]).fetchone() == (2,)
            for refused in ("SELECT * FROM jobs", "UPDATE jobs SET status = 'failed'", "SELECT * FROM api_keys"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(refused)
    finally:
        with psycopg.connect(owner, autocommit=True) as cleaning:  # a role belongs to the server, not to the database
            cleaning.execute("DROP OWNED BY retort_queue")
            cleaning.execute("DROP ROLE retort_queue")
        database.close()
