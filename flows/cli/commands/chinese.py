"""`rollout --help` in Simplified Chinese. A text's English is its key, so that one that changes has
no Chinese until somebody writes it: a test knows. What is typed (options, values) stays."""

from __future__ import annotations

CHINESE: dict[str, str] = {
    "Roll a new model out on Kubernetes, and let it serve only if it earned it.": (
        "在 Kubernetes 上发布新模型，只有达标才上线。"
    ),
    "Exit status: 0 promoted (or nothing to do), 1 error, 2 usage, 3 judged and failed, "
    "4 inconclusive or held, 5 refused before anything was changed, 130 "
    "interrupted (143 by SIGTERM, 129 by a closed terminal).": (
        "退出码：0 已上线（或无事可做），1 出错，2 用法错误，3 判定未达标，4 未定或挂起，"
        "5 未做任何改动即被拒绝，130 被中断（SIGTERM 为 143，终端关闭为 129）。"
    ),
    # what cyclopts says of itself
    "Usage": "用法",
    "Arguments": "参数",
    "Parameters": "选项",
    "choices": "可选值",
    "required": "必填",
    "Display this message and exit.": "显示本帮助并退出。",
    "Display application version.": "显示版本。",
    "Shell type for completion. If not specified, attempts to auto-detect current shell.": (
        "为哪种 shell 安装补全；默认自动识别当前 shell。"
    ),
    "Output path for the completion script. If not specified, uses shell-specific default.": (
        "补全脚本写到哪里；默认为该 shell 的惯用位置。"
    ),
    # groups
    "Before any command": "全局选项",
    "Look, and change nothing": "查看（不做任何改动）",
    "Write and check a spec": "编写与检查 spec",
    "Roll out": "发布",
    "Decide about a rollout": "发布决策",
    "Keep in order": "运维",
    "About this command": "关于本命令",
    # commands
    "Every rollout: its phase, what serves, since when, how the last one ended.": (
        "列出全部发布：所处阶段、在线版本、上线时间、上次结果。"
    ),
    "Who serves, who is tested, who served before.": "查看在线版本、候选版本和上一版本。",
    "How the rollouts of a name ended, by the cluster's own memory.": (
        "查看历次发布的结果，取自集群自身的记录。"
    ),
    "The report of a rollout, as a page, its record or JUnit XML.": (
        "查看一次发布的报告：页面、记录或 JUnit XML。"
    ),
    "Show what a rollout would do, and change nothing.": "预演一次发布将做什么，不做任何改动。",
    "The API server is asked, in a dry run, whether it would take what the rollout writes.": (
        "以 dry run 询问 API server 是否接受本次发布要写入的对象。"
    ),
    "Look at the nodes, with a probe Job on each.": "检查节点，每个节点运行一个探测 Job。",
    "Measure what serves, and judge it by the spec's targets; it ends once others wait for it.": (
        "按 spec 的指标测量并判定在线版本；一旦有请求排队就停止。"
    ),
    "Tell a Prometheus server of every rollout, until it is ended.": (
        "向 Prometheus 提供全部发布的指标，直至被终止。"
    ),
    "Write a commented spec for this cluster, or with placeholders where none answers.": (
        "为本集群生成带注释的 spec；没有集群应答时以占位符代替。"
    ),
    "A file that is there is not written over.": "已存在的文件不会被覆盖。",
    "What a field of the spec means: type, default, limits, and the fields below it.": (
        "解释 spec 中的一个字段：类型、默认值、取值范围及其下级字段。"
    ),
    "Check specs without a cluster, the site's policy too; 2 with every problem of each.": (
        "不连接集群检查 spec，也检查站点策略；有问题时逐条列出，退出码 2。"
    ),
    "Roll a model out on a cluster.": "在集群上发布一个模型。",
    "Take over a vLLM that somebody deployed by hand.": "接管手工部署的 vLLM。",
    "A real model through every step, on an embedded cluster.": (
        "在内置集群上用真实模型走完全部步骤。"
    ),
    "Promote the held candidate of one rollout.": "批准某次发布挂起的候选版本上线。",
    "Promote a held candidate, or finish a promotion.": (
        "让挂起的候选版本上线，或完成未完成的上线。"
    ),
    "Remove a held candidate.": "移除挂起的候选版本。",
    "Stop a rollout, wherever it runs; it cleans up.": (
        "中止一次发布，无论它在哪里运行；它会自行清理现场。"
    ),
    "Go back to the previous release.": "回滚到上一版本。",
    "Take the last promotion back, asking where it interrupts.": (
        "撤销最近一次上线；会中断服务时先询问。"
    ),
    "Run a Prefect server and a worker, with deployments for a folder of specs.": (
        "启动 Prefect server 和 worker，为一个目录下的 spec 建立 deployment。"
    ),
    "End what `rollout up` started.": "停止 `rollout up` 启动的进程。",
    "Send a test to everybody whom the Prefect server tells of rollouts.": (
        "向 Prefect server 所通知的每个地址发送一条测试消息。"
    ),
    "Measure what serves again, as the spec's `verify` says; a miss is announced.": (
        "按 spec 的 `verify` 重新测量在线版本；不达标时发出通知。"
    ),
    "Settle what a dead rollout left behind.": "清理异常终止的发布遗留的资源。",
    "Settle what nobody looks after any more, every minute.": "每分钟处理一次无人照看的发布。",
    "The weights on the nodes.": "节点上的模型权重。",
    "Weights of a spec's model that no rollout names any more.": (
        "查找 spec 中的模型在节点上不再被任何发布引用的权重。"
    ),
    "Install this shell's completion: its script and, but for fish, a line in ~/.bashrc, ~/.zshrc "
    "or PowerShell's profile.": (
        "为当前 shell 安装命令补全：写入脚本；除 fish 外，还在 ~/.bashrc、~/.zshrc "
        "或 PowerShell 的 profile 中加一行。"
    ),
    # what several commands take
    "Show Prefect's log too.": "同时显示 Prefect 的日志。",
    "Rollout spec, a YAML file.": "发布的 spec，YAML 文件。",
    "Rollout specs, YAML files.": "发布的 spec，一个或多个 YAML 文件。",
    "The spec's name.": "spec 中的 name。",
    "Default: KUBECONFIG or ~/.kube/config.": "默认取 KUBECONFIG，否则为 ~/.kube/config。",
    "Context of the kubeconfig; default: the current one.": (
        "使用 kubeconfig 的哪个 context；默认为当前 context。"
    ),
    "Default: the context's, and `default` where it has none.": (
        "默认为 context 中的 namespace，未设置时为 `default`。"
    ),
    "Default: all namespaces.": "默认为全部 namespace。",
    "Override one field of the spec, such as serving.port=9000; may be repeated.": (
        "覆盖 spec 的一个字段，例如 serving.port=9000；可多次指定。"
    ),
    "Override one target, such as ttft_p95_ms=800; may be repeated.": (
        "覆盖一项指标的限值，例如 ttft_p95_ms=800；可多次指定。"
    ),
    "How it is shown; json and yaml carry a `schema`, which grows compatibly. Default: table.": (
        "输出格式；json 和 yaml 带有 `schema`，只做兼容的扩充。默认为 table。"
    ),
    "The same as -o json.": "等同于 -o json。",
    "Do not ask first.": "不先询问。",
    "Id of the rollout that tested what is meant.": "测试了所指候选版本的那次发布的 id。",
    "Under which plan; asked at a terminal.": "所依据的计划；在终端上会询问。",
    "In an emergency: without proof that what is gone back to can start.": (
        "应急：不事先证明所回滚到的版本能够启动。"
    ),
    "In an emergency: although others wait for the seats that this frees; they may be "
    "placed first, and then neither release may find its seats.": (
        "应急：即使有其他 Pod 在等待因此空出的位置；它们可能先被调度，届时两个版本都可能没有位置。"
    ),
    # look
    "Of the whole cluster.": "整个集群。",
    "Draw it anew, with pods and Jobs, until it is at rest; a rollout that a worker "
    "runs as well.": (
        "持续刷新，连同 Pod 和 Job，直到没有进行中的操作；worker 运行的发布同样可看。"
    ),
    "End when it is at rest, with 0 where it was promoted or serves well, else with "
    "the exit status of its last outcome; 1 when --timeout is over before.": (
        "等到没有进行中的操作再结束：已上线或服务正常时退出码 0，否则为上次结果的退出码；"
        "--timeout 先到则为 1。"
    ),
    "How long --watch or --wait last at most, such as 90s, 30m or 2h.": (
        "--watch 或 --wait 的最长时间，例如 90s、30m 或 2h。"
    ),
    "The spec's name, for the last one, or NAME/ROLLOUT of any kind.": (
        "spec 中的 name（取最近一次），或任何种类的 NAME/ROLLOUT。"
    ),
    "The last of what `rollout run`, verify or bench left; default: rollout.": (
        "`rollout run`、verify 或 bench 最近留下的一份；默认：rollout。"
    ),
    "Also write JUnit XML.": "另写一份 JUnit XML。",
    "Only say where the page is.": "只给出页面的位置，不打开。",
    "Of the page; default: the locale's.": "页面的语言；默认随 locale。",
    "Of no other namespace; default: whichever the last one is of.": (
        "只看这个 namespace 的记录；默认不限，取最近一份。"
    ),
    "Print the objects of the rollout, for kubectl.": "打印本次发布的对象，供 kubectl 使用。",
    "Also run the probe Jobs: weights there, card sizes.": (
        "同时运行探测 Job：节点上已有的权重、加速卡显存。"
    ),
    "Measure the engine at this address, and ask no cluster.": (
        "测量这个地址上的引擎，不访问集群。"
    ),
    "Only this load of the spec; may be repeated.": "只测 spec 中的这一档负载；可多次指定。",
    "Address to listen on.": "监听地址。",
    "Port to listen on; 0: a free one.": "监听端口；0 表示任选空闲端口。",
    "Between looks at the cluster.": "查看集群的间隔。",
    # specs
    "Name of the rollout, and of its Service.": "发布的名称，也是其 Service 的名称。",
    "ModelScope id of the model.": "模型在 ModelScope 上的 id。",
    "Accelerator profile; default: what the nodes offer.": (
        "加速卡类型；默认为节点实际提供的类型。"
    ),
    "Where it is written; default: NAME.yaml.": "写到哪个文件；默认为 NAME.yaml。",
    "Dotted, such as promotion.soak; default: the whole spec.": (
        "以点分隔，例如 promotion.soak；默认为整个 spec。"
    ),
    # act
    "Refuse unless the plan is still this one.": "计划已不是这一份时拒绝执行。",
    "Do not ask before an interruption.": "中断服务之前不询问。",
    "How the candidate is reached; default: the spec's access.mode.": (
        "以何种方式访问候选版本；默认取 spec 的 access.mode。"
    ),
    "Must be NAME: a rollout is called as its Service is.": (
        "必须等于 NAME：发布与其 Service 同名。"
    ),
    "Default: the one whose pods the Service chooses.": (
        "默认为 Service 所选 Pod 所属的 Deployment。"
    ),
    "Also what Helm, Argo CD or an owner manages.": (
        "由 Helm、Argo CD 或其他 owner 管理的也接管。"
    ),
    "Another Service on its pods, or a port of this one as NAME/PORT, that leads "
    "nowhere later on: agreed to by name, and remembered; may be repeated.": (
        "指向同一批 Pod 的另一个 Service，或本 Service 的一个端口（写作 NAME/PORT），"
        "以后将不再指向任何 Pod：逐个点名同意，并被记住；可多次指定。"
    ),
    "Leave everything running afterwards.": "结束后一切保持运行。",
    "End what --keep left running.": "停止 --keep 留下的进程。",
    "Publish a new commit first.": "先发布一个新的 commit。",
    "Keep what serves unproven without a look: nothing more is known of it then.": (
        "不再观察，直接保留未经验证（unproven）的在线版本：此后对它不再有更多了解。"
    ),
    "Scale the serving release down first, to make room.": "先缩容在线版本以腾出位置。",
    "End once everything is at rest; what is busy is looked at every minute.": (
        "全部处理完毕即结束；进行中的每分钟看一次。"
    ),
    "Remove them; default: say which.": "删除这些权重；默认只列出。",
    # service
    "A folder of specs, or a spec.": "存放 spec 的目录，或单个 spec。",
    "Folder of server and worker; default: ~/.model-rollout/service.": (
        "server 和 worker 的数据目录；默认为 ~/.model-rollout/service。"
    ),
    "Of the server, on this machine; at first: 4200.": "server 在本机的端口；初始为 4200。",
    "Rollouts at once; at first: 4.": "同时进行的发布数；初始为 4。",
    "The work pool; at first: model-rollout.": "work pool 的名称；初始为 model-rollout。",
    "Holds the address of a PostgreSQL database; or set "
    "PREFECT_SERVER_DATABASE_CONNECTION_URL; at first: SQLite in the state folder.": (
        "该文件存放 PostgreSQL 数据库的地址；也可设置 "
        "PREFECT_SERVER_DATABASE_CONNECTION_URL；初始为数据目录中的 SQLite。"
    ),
    "Holds who is told of rollouts, an address a line (mode 600); or set "
    "MODEL_ROLLOUT_NOTIFY; default: whom the server knows.": (
        "该文件存放通知地址，每行一个（权限 600）；也可设置 MODEL_ROLLOUT_NOTIFY；"
        "默认沿用 server 上已有的地址。"
    ),
    "Stay with what is started, and end it when ended.": (
        "常驻前台守着所启动的进程，自身结束时一并停止。"
    ),
    "To the server of PREFECT_API_URL; start nothing.": (
        "写到 PREFECT_API_URL 指向的 server；不启动任何进程。"
    ),
    "Print prefect.yaml, and do nothing.": "打印 prefect.yaml，不做其他事。",
    "On an embedded cluster, hub and model.": "使用内置的集群、模型仓库和模型。",
    "Publish a new commit on the demo's hub.": "在演示用的模型仓库中发布一个新的 commit。",
    "The demo, and its cluster and hub.": "停止演示，连同其集群和模型仓库。",
}


def said(text: str) -> str:
    """A text of the help in Chinese, paragraph by paragraph; what has none stays as it is."""
    parts = text.rstrip().split("\n\n")
    return "\n\n".join(CHINESE.get(" ".join(part.split()), part) for part in parts)
