"""A small Kubernetes stand-in for tests and demos: API server, controllers, scheduler, kubelet.

It holds the objects and verbs that model-rollout uses and behaves as Kubernetes where that matters
to a rollout. It is no Kubernetes: no admission plugins but PodSecurity, roles for service accounts
only (its administrator may do everything), no network policies. Containers are processes of this
machine, isolated in nothing but what a rollout can fail by: each pod has a /dev/shm of its size,
and each container its memory limit, where the machine allows it (see rooms.why_not and
limits.home).
"""
