# The image of the Jobs we run on nodes (probe, fetch), of the guard, of the Prefect server, and of what
# runs flows. BuildKit adds what it is made of, Debian's packages and Python's (`make sbom`: Python's alone):
#   docker buildx build --sbom=true --push -f deployments/images/runner.Dockerfile -t REGISTRY/model-rollout:0.1.0 .
FROM python:3.11-slim
# hy-smi asks lspci; Debian keeps one version of it at a time, so none is named
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends pciutils && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/model-rollout
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE prefect.yaml ./
COPY flows flows
COPY tasks tasks
# all but the stand-in, which is for tests and the demo
COPY deployments/__init__.py deployments/__init__.py
COPY deployments/automations.yaml deployments/automations.yaml
COPY deployments/models deployments/models
COPY deployments/cluster deployments/cluster
RUN pip install --no-cache-dir --no-deps .
# Jobs that write to a store of root's say runAsUser: 0; the guard and a worker run as this one
USER 10001:10001
