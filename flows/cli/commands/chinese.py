"""What `rollout --help` says of its commands, in Simplified Chinese. Options stay English."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

from tasks.report.words.speech import PageLanguage

CHINESE: dict[str, str] = {
    "": "在 Kubernetes 上发布新模型，只有达标才上线。",
    # groups
    "Before any command": "全局选项",
    "Look, and change nothing": "查看（不做任何改动）",
    "Write and check a spec": "编写与检查配置",
    "Roll out": "发布",
    "Decide about a rollout": "发布决策",
    "Keep in order": "运维",
    "About this command": "关于本命令",
    # commands
    "list": "列出全部发布：所处阶段、在线版本、上线时间、上次结果。",
    "status": "查看在线版本、候选版本和上一版本。",
    "history": "查看历次发布的结果，取自集群自身的记录。",
    "report": "查看一次发布的报告：页面、记录或 JUnit XML。",
    "plan": "预演一次发布将做什么，不做任何改动。",
    "check-nodes": "检查节点，每个节点运行一个探测 Job。",
    "bench": "按配置的指标测量并判定在线版本；一旦有请求排队就停止。",
    "metrics": "向 Prometheus 提供全部发布的指标，直至被终止。",
    "init": "为本集群生成带注释的配置；没有集群应答时以占位符代替。",
    "explain": "解释配置中的一个字段：类型、默认值、取值范围及其下级字段。",
    "validate": "不连接集群检查配置，也检查站点策略；有问题时逐条列出，退出码 2。",
    "run": "在集群上发布一个模型。",
    "adopt": "接管手工部署的 vLLM。",
    "demo": "在内置集群上用真实模型走完全部步骤。",
    "approve": "批准某次发布挂起的候选版本上线。",
    "promote": "让挂起的候选版本上线，或完成未完成的上线。",
    "reject": "移除挂起的候选版本。",
    "abort": "中止一次发布并清理现场，无论它在哪里运行。",
    "rollback": "回滚到上一版本。",
    "undo": "撤销最近一次上线；会中断服务时先询问。",
    "up": "启动 Prefect 服务端和 worker，为一个目录下的配置建立部署。",
    "down": "停止 `rollout up` 启动的进程。",
    "notify": "向 Prefect 服务端所通知的每个地址发送一条测试消息。",
    "verify": "按配置中的 `verify` 重新测量在线版本；不达标时发出通知。",
    "recover": "清理异常终止的发布遗留的资源。",
    "guard": "每分钟处理一次无人照看的发布。",
    "store": "节点上的模型权重。",
    "store gc": "清理节点上不再使用的模型权重。",
    "--install-completion": "为当前 shell 安装命令补全。",
    "exit status": (
        "退出码：0 已上线（或无事可做），1 出错，2 用法错误，3 判定未达标，4 未定或挂起，"
        "5 未做任何改动即被拒绝，130 被中断。"
    ),
}


def summary(name: str, does: Callable[..., int], speech: PageLanguage) -> str | None:
    """What a command does, in place of its docstring's first words; None where that will do."""
    if speech != "zh":
        return None
    more = (does.__doc__ or "").partition("\n\n")[2]
    return f"{CHINESE[name]}\n\n{dedent(more)}".rstrip()
