"""What becomes of containers: crashes, memory, logs, environment, probes, placement."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tests.cluster.conftest import Kube
from tests.support.cluster.servers import first

SLEEP = "import time; time.sleep(300)"


def waits(kube: Kube, name: str, reason: str) -> Any:
    """The container's status once it waits for this reason."""

    def check() -> Any:
        found = first(kube, name)
        waiting = found and found.state.waiting
        return found if waiting and waiting.reason == reason else None

    return kube.until(check, f"{name} waits for {reason}")


def test_a_crash_loop_tells_its_exit_and_keeps_the_log_before(kube: Kube) -> None:
    container = kube.container("import time, sys; print('life', time.time_ns()); sys.exit(7)")
    made = kube.pod("crash", container, restartPolicy="Always")
    found = next(
        one for one in kube.history(made) if one.state.waiting and one.last_state.terminated
    )
    assert found.state.waiting.reason == "CrashLoopBackOff"
    assert found.restart_count == 1  # started anew once; the second life's end is no restart yet
    last = found.last_state.terminated
    assert (last.exit_code, last.reason) == (7, "Error")
    assert "restarting failed container=main pod=crash_" in found.state.waiting.message
    assert kube.log("crash", previous=True).startswith("life")
    assert len(kube.log("crash", previous=True).splitlines()) == 1
    assert kube.phase("crash") == "Running"
    kube.until(lambda: kube.said("BackOff"), "a BackOff event")


def test_previous_is_the_life_before_the_running_one(kube: Kube) -> None:
    program = (
        "import os, sys, time\nmark = os.environ['KEEP'] + '/mark'\n"
        "if os.path.exists(mark): print('second', flush=True); time.sleep(300)\n"
        "open(mark, 'w').close(); print('first'); sys.exit(1)"
    )
    mount = {"name": "keep", "mountPath": "/keep"}
    env = [{"name": "KEEP", "value": "/keep"}]
    container = kube.container(program, volumeMounts=[mount], env=env)
    volume = {"name": "keep", "emptyDir": {}}
    kube.pod("twice", container, restartPolicy="Always", volumes=[volume])
    kube.until(lambda: "second" in log_or_why(kube, "twice"), "life two")
    assert kube.log("twice", previous=True).strip() == "first"
    line = kube.log("twice", timestamps=True).split()
    assert line[1] == "second" and line[0].endswith("Z") and "T" in line[0]


def log_or_why(kube: Kube, name: str, **more: Any) -> str:
    """A log, or the message of the 400 that is given where there is none."""
    try:
        return kube.log(name, **more)
    except ApiException as error:
        assert error.status == 400
        return str(json.loads(error.body)["message"])


def test_there_is_no_log_before_a_container_has_begun(kube: Kube) -> None:
    absent = {"secretKeyRef": {"name": "none", "key": "k"}}
    kube.pod("held", kube.container("pass", env=[{"name": "S", "valueFrom": absent}]))
    waits(kube, "held", "CreateContainerConfigError")
    assert log_or_why(kube, "held") == (
        'container "main" in pod "held" is waiting to start: CreateContainerConfigError'
    )
    nothing = 'previous terminated container "main" in pod "held" not found'
    assert log_or_why(kube, "held", previous=True) == nothing
    assert log_or_why(kube, "held", container="side") == "container side is not valid for pod held"


def test_a_pod_on_no_node_has_an_empty_log(kube: Kube) -> None:
    kube.pod("free", kube.container("pass"), nodeSelector={"no": "node"})
    kube.until(lambda: kube.said("FailedScheduling"), "no node takes it")
    assert kube.core.read_namespaced_pod_log("free", kube.ns) is None  # 204, no content


def test_what_is_printed_into_a_buffer_is_not_logged(kube: Kube) -> None:
    program = "import sys, time; print('kept back'); sys.stderr.write('told\\n'); time.sleep(300)"
    kube.pod("quiet", kube.container(program))
    kube.until(lambda: "told" in log_or_why(kube, "quiet"), "what came after it")
    assert kube.log("quiet") == "told\n"


def test_an_environment_is_what_image_and_spec_say(kube: Kube) -> None:
    # nothing of the machine: no PYTHON*, PREFECT_*, proxies, certificates, locale
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    env = [{"name": "MINE", "value": "1"}]
    kube.pod("env", kube.container(program, env=env), enableServiceLinks=False)
    kube.until(lambda: kube.phase("env") == "Succeeded", "it runs")
    found = {k: v for k, v in json.loads(kube.log("env")).items() if k not in kube.image_env}
    # the API server's own Service; what Python itself sets where no locale is; and TMPDIR,
    # which the embedded cluster needs: its containers share one /tmp
    rest = {k for k in found if not k.startswith("KUBERNETES_")} - {"LC_CTYPE", "TMPDIR"}
    assert rest == {"HOME", "HOSTNAME", "IP", "MINE", "PATH"}
    assert (found["HOSTNAME"], found["MINE"]) == ("env", "1")


def test_too_much_memory_is_oomkilled(kube: Kube) -> None:
    program = "import time\nkept = bytearray(200 << 20)\ntime.sleep(300)"
    resources = {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}
    kube.pod("greedy", kube.container(program, resources=resources))
    kube.until(lambda: kube.phase("greedy") == "Failed", "the pod fails")
    end = first(kube, "greedy").state.terminated
    assert (end.exit_code, end.reason) == (137, "OOMKilled")


def test_a_failing_liveness_probe_restarts(kube: Kube) -> None:
    probe = {"exec": {"command": ["python", "-c", "exit(1)"]}}
    pace = {"periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 5}
    container = kube.container(SLEEP, livenessProbe={**probe, **pace})
    kube.pod("sick", container, restartPolicy="Always")
    kube.until(lambda: (found := first(kube, "sick")) and found.restart_count, "a restart")
    # process 1 has no default action: a program that handles no SIGTERM lives its whole grace
    assert first(kube, "sick").last_state.terminated.exit_code == 137
    assert any("failed liveness probe, will be restarted" in text for text in kube.said("Killing"))


def test_process_1_ends_by_sigterm_only_where_it_handles_it(kube: Kube) -> None:
    # fails once its handler is there
    seen = "import os; exit(os.path.exists('/scratch/up'))"
    pace = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60}
    heeds = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "open('/scratch/up', 'w').close(); time.sleep(300)"
    )
    container = kube.container(
        heeds,
        livenessProbe={"exec": {"command": ["python", "-c", seen]}, **pace},
        volumeMounts=[{"name": "s", "mountPath": "/scratch"}],
    )
    volumes = [{"name": "s", "emptyDir": {}}]
    more = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 300}
    kube.pod("polite", container, volumes=volumes, **more)
    kube.until(lambda: (found := first(kube, "polite")) and found.restart_count, "a restart")
    assert first(kube, "polite").last_state.terminated.exit_code == 5


def test_a_startup_probe_holds_the_others_back(kube: Kube) -> None:
    program = "import os, time\ntime.sleep(1.5); open('/scratch/up', 'w').close(); time.sleep(300)"
    seen = {"exec": {"command": ["python", "-c", "import os; os.stat('/scratch/up')"]}}
    container = kube.container(
        program,
        startupProbe={**seen, "periodSeconds": 1, "failureThreshold": 60, "timeoutSeconds": 60},
        livenessProbe={**seen, "periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 60},
        volumeMounts=[{"name": "s", "mountPath": "/scratch"}],
    )
    volumes = [{"name": "s", "emptyDir": {}}]
    history = kube.history(kube.pod("slow", container, restartPolicy="Always", volumes=volumes))
    assert next(one for one in history if one.state.running).started is False
    assert next(one for one in history if one.ready).restart_count == 0


def lacks(kube: Kube, name: str, kind: str) -> str:
    """What its container is said to wait for, once that is of this kind."""

    def check() -> str:
        waiting = waits(kube, name, "CreateContainerConfigError").state.waiting
        return str(waiting.message) if kind in waiting.message else ""

    return str(kube.until(check, f"{name} waits for a {kind}"))


def test_environment_from_secrets_and_config_maps(kube: Kube) -> None:
    program = "import os; print(*(os.environ.get(k, '-') for k in ('A', 'B', 'C', 'pre_k', 'NO')))"
    env = [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "token"}}},
        {"name": "B", "value": "<$(A)> $$(A) $(NONE)"},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {
            "name": "NO",
            "valueFrom": {"secretKeyRef": {"name": "no", "key": "k", "optional": True}},
        },
    ]
    bulk = [{"prefix": "pre_", "configMapRef": {"name": "c"}}]
    kube.pod("env", kube.container(program, env=env, envFrom=bulk))
    # a kubelet reads envFrom before env, and names what it misses first
    assert lacks(kube, "env", "configmap") == 'configmap "c" not found'
    kube.core.create_namespaced_config_map(kube.ns, {"metadata": {"name": "c"}, "data": {"k": "v"}})
    assert lacks(kube, "env", "secret") == 'secret "s" not found'
    secret = {"metadata": {"name": "s"}, "stringData": {"token": "hush"}}
    kube.core.create_namespaced_secret(kube.ns, secret)
    kube.until(lambda: kube.phase("env") == "Succeeded", "it runs")
    assert kube.log("env").strip() == "hush <hush> $(A) $(NONE) env v -"


def test_init_containers_go_first_and_a_missing_program_says_so(kube: Kube) -> None:
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/shared"}]}
    before = kube.container("open('/shared/x', 'w').write('from init')", **mount) | {"name": "prep"}
    container = kube.container("print(open('/shared/x').read())", **mount)
    volumes = [{"name": "v", "emptyDir": {}}]
    kube.pod("two", container, initContainers=[before], volumes=volumes)
    kube.until(lambda: kube.phase("two") == "Succeeded", "it runs")
    assert kube.log("two", container="main").strip() == "from init"
    kube.pod("none", {**kube.container(""), "command": ["no-such-program"]})
    kube.until(lambda: kube.phase("none") == "Failed", "it fails")
    assert "executable file not found in $PATH" in first(kube, "none").state.terminated.message


@pytest.mark.embedded("its node offers eight devices")
def test_the_scheduler_counts_devices_and_says_what_is_short(kube: Kube) -> None:
    def need(count: int) -> dict[str, Any]:
        return kube.container(SLEEP, resources={"limits": {"hygon.com/dcu": str(count)}})

    kube.pod("six", need(6))
    kube.until(lambda: kube.phase("six") == "Running", "six run")
    kube.pod("four", need(4))
    kube.until(lambda: kube.said("FailedScheduling"), "an event")
    conditions = kube.core.read_namespaced_pod("four", kube.ns).status.conditions
    assert [(c.type, c.status, c.reason) for c in conditions] == [
        ("PodScheduled", "False", "Unschedulable")
    ]
    assert conditions[0].message == (
        "0/1 nodes are available: 1 Insufficient hygon.com/dcu. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    )
    kube.core.delete_namespaced_pod("six", kube.ns, grace_period_seconds=0, _preload_content=False)
    kube.until(lambda: kube.phase("four") == "Running", "room was made")


def test_affinity_by_node_name(kube: Kube) -> None:
    name = kube.core.list_node().items[0].metadata.name

    def on(node: str) -> dict[str, Any]:
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
        required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
        return {"nodeAffinity": required}

    kube.pod("here", kube.container("print(1)"), affinity=on(name))
    kube.pod("nowhere", kube.container("print(1)"), affinity=on("no-such-node"))
    kube.until(lambda: kube.phase("here") == "Succeeded", "it runs where it should")
    kube.until(lambda: kube.said("FailedScheduling"), "an event")
    # the other nodes are not even looked at, and that is what is said of them
    assert "node(s) didn't satisfy plugin(s) [NodeAffinity]" in kube.said("FailedScheduling")[0]


def test_a_selector_that_no_node_has(kube: Kube) -> None:
    kube.pod("picky", kube.container("pass"), nodeSelector={"no": "node"})
    said = kube.until(lambda: kube.said("FailedScheduling"), "an event")[0]
    assert "node(s) didn't match Pod's node affinity/selector" in said
    assert "Preemption is not helpful for scheduling" in said


def test_more_than_a_node_has(kube: Kube) -> None:
    resources = {"requests": {"memory": "900Ti"}, "limits": {"memory": "900Ti"}}
    kube.pod("vast", kube.container("pass", resources=resources))
    said = kube.until(lambda: kube.said("FailedScheduling"), "an event")[0]
    assert "Insufficient memory. no new claims to deallocate, preemption: " in said
    assert "Preemption is not helpful for scheduling" in said
