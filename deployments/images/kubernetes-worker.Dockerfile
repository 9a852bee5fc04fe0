# The image of a Prefect worker of type kubernetes. It makes a Job of each flow run, which runs the
# image of runner.Dockerfile, so it has none of this project's code.
#   docker buildx build --sbom=true --push -f deployments/images/kubernetes-worker.Dockerfile -t REGISTRY/model-rollout-kubernetes-worker:0.1.0 .
FROM python:3.11-slim
WORKDIR /opt/kubernetes-worker
COPY requirements/kubernetes-worker.txt requirements/kubernetes-worker.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/kubernetes-worker.txt
USER 10001:10001
