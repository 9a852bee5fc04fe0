"""What our Kubernetes objects are marked with, and how their parts are called."""

from __future__ import annotations

MANAGER = "model-rollout"
# who we are in metadata.managedFields; every write of ours says it
FIELD_MANAGER = "model-rollout"
OUR_PREFIX = "model-rollout/"  # of labels and annotations that nobody else writes
RELEASE_LABEL = "model-rollout/release"
KIND_LABEL = "model-rollout/kind"
INSTANCE_LABEL = "app.kubernetes.io/instance"
MANAGED_LABEL = "app.kubernetes.io/managed-by"
REPLICAS_ANNOTATION = "model-rollout/replicas"
# what we scaled a Deployment to: a person's scaling leaves it as it was
SCALED_ANNOTATION = "model-rollout/scaled-to"
EPOCH_ANNOTATION = "model-rollout/epoch"
WRITER_ANNOTATION = "model-rollout/writer"  # the process of that epoch
# on a Deployment: the type that the Service in front of it must have at least
SERVICE_ANNOTATION = "model-rollout/service-type"
# on what was adopted: by which selector and ports its pods are reached, and its labels before
REACHED_ANNOTATION = "model-rollout/reached-by"
# on a Service: what the switch to its release was, for whoever finds the memory lost
SWITCHED_ANNOTATION = "model-rollout/switched"
# on a Deployment: what may lead nowhere once its pods stop, as whoever adopted it has agreed
LEAVES_ANNOTATION = "model-rollout/leaves"
FORMER_ANNOTATION = "model-rollout/former-labels"
ADOPTED = "adopted-"  # how the ids of such releases begin
ENGINE_CONTAINER = "engine"
