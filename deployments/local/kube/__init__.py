"""A small Kubernetes stand-in for tests and demos: API server, controllers, scheduler, kubelet.

It holds the objects and verbs that model-rollout uses and behaves as Kubernetes where that
matters to a rollout. It is no Kubernetes: no admission plugins, no RBAC enforcement, no network
policies, no container isolation.
"""
