# The images of Retort: `--target api` (no torch) and `--target worker` (CPU, or GPU by the build arguments TORCH and
# TORCHVISION). docker-compose.yml builds both.
ARG PYTHON_IMAGE=python:3.11-slim
ARG NODE_IMAGE=node:20-slim

# ---- the dashboard

FROM ${NODE_IMAGE} AS web
WORKDIR /web
COPY web/package.json web/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund --loglevel=error
COPY web ./
RUN npm run build

# ---- our code, readable by everybody and compiled, because the containers cannot write to it

FROM ${PYTHON_IMAGE} AS code
WORKDIR /app
COPY alembic.ini ./
COPY deploy/make_secrets.py deploy/
COPY migrations migrations
COPY client client
COPY store store
COPY distill distill
COPY publishing publishing
COPY api api
COPY worker worker
RUN python -m compileall -q . && chmod -R a+rX .

# ---- the libraries; pyproject.toml alone makes a distribution with the version and the `retort` command, without code

FROM ${PYTHON_IMAGE} AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/venv
WORKDIR /build

FROM libraries AS api-libraries
RUN apt-get update -q && apt-get install -qy --no-install-recommends binutils
COPY pyproject.toml constraints.txt ./
# Tests, sources of extensions, type stubs and debug symbols are half of what is installed. Libraries that wheels bring
# along (*.libs) must not be stripped: patchelf has moved their parts.
RUN --mount=type=cache,target=/root/.cache/pip touch README.md \
 && pip --python /opt/venv/bin/python install -q --no-compile -c constraints.txt '.[api,otel]' \
 && cd /opt/venv/lib && find . -depth -type d \( -name tests -o -name SelfTest -o -name sample_data \) -exec rm -rf {} + \
 && find . -type f \( -name '*.c' -o -name '*.cpp' -o -name '*.pyx' -o -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.a' \) -delete \
 && find . -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} +
# And what neither the API nor the command line ever imports: tests/deploy/test_api_image.py does without just these.
RUN cd /opt/venv/lib/python3*/site-packages && rm -rf \
    alembic/testing sqlalchemy/testing numpy/distutils numpy/_core/_simd.* fontTools/[b-ln-z]* pygments/lexers \
    click_repl prompt_toolkit wcwidth PIL/_avif.* pillow.libs/libavif-* \
    matplotlib/mpl-data/fonts/afm matplotlib/mpl-data/fonts/pdfcorefonts

# Wheels that are preferred to the index's: a build context of this name (`--build-context wheels=FOLDER`) replaces it.
FROM scratch AS wheels

FROM libraries AS worker-libraries
# torch comes first and apart, as in the Makefile. TORCH_INDEX: another package index for these two alone.
ARG TORCH=torch==2.13.0
ARG TORCHVISION=torchvision==0.28.0
ARG TORCH_INDEX=
# More of pyproject.toml's extras: `,ray` for jobs on several hosts.
ARG EXTRAS=
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,from=wheels,target=/wheels \
    pip --python /opt/venv/bin/python install -q --find-links /wheels ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH"
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,from=wheels,target=/wheels touch README.md \
 && pip --python /opt/venv/bin/python install -q -c constraints.txt --find-links /wheels \
    ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} --no-deps "$TORCHVISION" \
 && pip --python /opt/venv/bin/python install -q -c constraints.txt ".[worker,otel${EXTRAS}]" \
 && find /opt/venv/lib -depth -type d -name tests -exec rm -rf {} +

# ---- what both run on

FROM ${PYTHON_IMAGE} AS base
RUN groupadd --gid 10001 retort && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp retort \
 && install -d -o 10001 -g 10001 -m 0750 /data /scratch
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 HOME=/tmp RETORT_DATA_DIR=/data
WORKDIR /app
ARG RETORT_VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Retort" \
      org.opencontainers.image.version="${RETORT_VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS worker
LABEL org.opencontainers.image.description="Retort's worker: claims jobs, trains students"
RUN apt-get update -q && apt-get install -qy --no-install-recommends tini dataset-fashion-mnist \
 && rm -rf /var/lib/apt/lists/*
COPY --from=worker-libraries /opt/venv /opt/venv
# The page that the export onnx-web writes a student into.
COPY --from=web /web/dist-page /app/web/dist-page
COPY --from=code /app /app
ENV RETORT_SCRATCH_DIR=/scratch RETORT_ALIVE_FILE=/tmp/retort-worker-alive RETORT_WORKER_UID=10001
# docker-compose.yml starts it as root with the rights to be another user: it becomes 10001 at once (worker.place).
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=30s --start-period=1h --retries=4 CMD ["python", "-m", "worker.health"]
# tini takes in the processes that a killed trainer leaves behind.
ENTRYPOINT ["tini", "--"]
CMD ["python", "-m", "worker.place"]

FROM base AS api
LABEL org.opencontainers.image.description="Retort's HTTP API, dashboard and command line, without torch"
COPY --from=api-libraries /opt/venv /opt/venv
COPY --from=web /web/dist /app/web/dist
COPY --from=code /app /app
# Compiles what a start imports, and nothing else: all of it would be 70 MB.
RUN python -c "import api.__main__, api.health, store.prepare, store.backup.cli, store.backup.stream, client.cli; \
    import alembic.command, matplotlib.backends.backend_agg, matplotlib.backends.backend_svg, kombu.transport.redis; \
    import celery.app.amqp, psycopg, uvloop, uvicorn.loops.auto, uvicorn.lifespan.on, \
    uvicorn.protocols.http.httptools_impl" && rm -rf /tmp/* /tmp/.[!.]*
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=30s --start-period=1h --retries=6 CMD ["python", "-m", "api.health"]
CMD ["python", "-m", "api"]
