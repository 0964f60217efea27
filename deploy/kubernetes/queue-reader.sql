-- Who counts jobs for autoscale.yaml: sees their statuses, nothing else. After migrate.yaml, as the owner of the tables who
-- may make roles:  psql "$DATABASE_URL" -v password=... -f deploy/kubernetes/queue-reader.sql
CREATE ROLE retort_queue LOGIN PASSWORD :'password' CONNECTION LIMIT 5;
GRANT USAGE ON SCHEMA public TO retort_queue;
GRANT SELECT (status) ON jobs TO retort_queue;
