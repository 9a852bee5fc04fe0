"""The report in Simplified Chinese, by the English of the code. tok/s, ms and the names of metrics
(TTFT, TPOT) stay as engineers write them."""

from __future__ import annotations

CHINESE: dict[str, str] = {
    # the head
    "Language": "语言",
    "Promoted": "已上线",
    "Unchanged": "无变化",
    "Not now": "暂不发布",
    "Not again": "不再重试",
    "Still earned": "仍然达标",
    "Targets missed": "未达标",
    "Rolled back": "已回滚",
    "Inconclusive": "结论未定",
    "Held for a person": "待人工审批",
    "Refused": "已拒绝",
    "Error": "出错",
    "under way": "进行中",
    "This rollout has no outcome yet.": "本次发布尚无结果。",
    "the candidate": "候选版本",
    "{release} met the one target and was promoted.": "{release} 指标达标，已上线。",
    "{release} met all {n} targets and was promoted.": "{release} 的 {n} 项指标全部达标，已上线。",
    "{release} met the one target and waits for a person.": "{release} 指标达标，等待人工审批。",
    "{release} met all {n} targets and waits for a person.": (
        "{release} 的 {n} 项指标全部达标，等待人工审批。"
    ),
    "{release} was not promoted: {said}.": "{release} 未上线：{said}。",
    "{release} was not promoted and waits for a person: {said}.": (
        "{release} 未上线，等待人工审批：{said}。"
    ),
    "{target}, {measured}, misses its limit of {limit}": (
        "{target} 实测 {measured}，未达到目标 {limit}"
    ),
    "{target}, {measured}, may or may not meet its limit of {limit}": (
        "{target} 实测 {measured}，尚不能判定是否达到目标 {limit}"
    ),
    ", and {n} other target likewise": "，另有 {n} 项指标同样如此",
    ", and {n} other targets likewise": "，另有 {n} 项指标同样如此",
    "commit {commit}": "提交 {commit}",
    "in namespace {namespace}": "命名空间 {namespace}",
    "%d %B %Y, %H:%M %Z": "%Y-%m-%d %H:%M %Z",
    "Whole logs: {links}": "完整日志：{links}",
    "the record's part '{name}' could not be read": "记录中的 {name} 部分无法读取",
    "targets met": "项指标达标",
    "nodes usable": "个节点可用",
    "in all": "总耗时",
    "requests that count, in {n} round": "个有效请求，共 {n} 轮",
    "requests that count, in {n} rounds": "个有效请求，共 {n} 轮",
    "of {all}, {n} do not count: {which}": "共 {all} 个请求，其中 {n} 个不计入：{which}",
    "round {n} at {load}": "{load} 第 {n} 轮",
    "{n} rounds thrown out": "{n} 轮作废",
    "model-rollout, rollout {rollout}": "model-rollout，发布 {rollout}",
    ", exit status {code}": "，退出码 {code}",
    # what is said in many places
    "pass": "达标",
    "fail": "未达标",
    "inconclusive": "未定",
    "candidate": "候选版本",
    "stable": "稳定版本",
    "ok": "正常",
    "wrong": "不符",
    "yes": "是",
    "no": "否",
    "unknown": "未知",
    "nothing": "无",
    "none": "无",
    "no data": "无数据",
    "mean": "平均",
    "{n} of {all}": "{n} / {all}",
    "{what}: {text}": "{what}：{text}",
    "{first} {second}": "{first}{second}",
    "{n} round": "{n} 轮",
    "{n} rounds": "{n} 轮",
    "{n} request": "{n} 个请求",
    "{n} requests": "{n} 个请求",
    "round {n}": "第 {n} 轮",
    # metrics and bounds
    "TTFT": "TTFT",
    "TPOT": "TPOT",
    "ITL": "ITL",
    "Latency": "端到端延迟",
    "Output throughput": "输出吞吐",
    "Total throughput": "总吞吐",
    "Request throughput": "请求吞吐",
    "Success rate": "成功率",
    "Goodput": "有效请求占比 (goodput)",
    "Exam": "答题测试",
    "{metric} at {load}": "{metric} ({load})",
    "{limit} against stable": "{limit}（相对稳定版本）",
    "at least {value}, no upper bound yet": "至少 {value}，上界未定",
    "at most {value}, no lower bound yet": "至多 {value}，下界未定",
    "no bounds yet": "区间未定",
    "{n} in flight": "并发 {n}",
    "{n} arrivals/s": "每秒到达 {n} 个请求",
    # targets
    "Targets": "指标",
    "Targets, their bounds and verdicts": "各项指标的置信区间与判定",
    "Target": "指标",
    "Load": "负载",
    "Limit": "目标",
    "Measured": "实测",
    "Bounds against the limit": "置信区间与目标",
    "Verdict": "判定",
    "A target is met when its whole interval lies on the green side of the limit, and missed "
    "when all of it lies beyond. The dot is what was measured; the line is where the truth "
    "lies, at {confidence} % confidence over the whole rollout.": (
        "置信区间全部落在目标的绿色一侧为达标，全部落在另一侧为未达标。圆点为实测值，线段为真值所在的"
        "置信区间，整次发布的置信水平为 {confidence} %。"
    ),
    "{target}: limit {limit}, measured {value}, bounds {bounds}, {verdict}": (
        "{target}：目标 {limit}，实测 {value}，置信区间 {bounds}，{verdict}"
    ),
    "no target allows a request to fail": "没有指标允许请求失败",
    "advisory: never blocks": "仅供参考，不影响上线",
    "{n} request counted": "{n} 个有效请求",
    "{n} requests counted": "{n} 个有效请求",
    "no reason given": "未说明原因",
    "; about {n} requests more would decide": "；约需再测 {n} 个请求方可判定",
    "the side that meets the target": "达标一侧",
    "limit {value}": "目标 {value}",
    "measured {value}, bounds {bounds}": "实测 {value}，置信区间 {bounds}",
    "target {label}: {verdict}": "指标 {label}：{verdict}",
    "{target}; measured {value}, bounds {bounds}": "{target}；实测 {value}，置信区间 {bounds}",
    # beside the stable release, and over releases
    "Candidate against stable": "候选版本与稳定版本对比",
    "The candidate beside the stable release": "候选版本与稳定版本对照",
    "The mean over the rounds in which both were measured and count. The bar is where the "
    "difference lies, at {confidence} % confidence; its green side is no worse than the stable "
    "release, or, where a target says how much worse is allowed, no worse than that.": (
        "取两个版本均有效的各轮平均值。线段为差异的置信区间，置信水平 {confidence} %；绿色一侧表示"
        "不劣于稳定版本，若指标规定了允许的劣化幅度，则表示不超出该幅度。"
    ),
    "Figure": "项目",
    "Candidate": "候选版本",
    "Stable": "稳定版本",
    "Difference": "差异",
    "Bounds of the difference": "差异的置信区间",
    "{metric}: {change} against stable, bounds {bounds}": (
        "{metric}：相对稳定版本 {change}，置信区间 {bounds}"
    ),
    "Over the last releases": "历次发布趋势",
    "The last rollouts of this model": "该模型最近的发布",
    "What the rollouts before this one measured, from the history that the cluster keeps, by "
    "the targets that bind now. The dot is what was measured, the bar its bounds. Nodes, image "
    "and load may have been others.": (
        "取自集群保存的历史，只列本次有约束力的指标。圆点为实测值，竖条为置信区间。历次发布的节点、"
        "镜像和负载可能不同。"
    ),
    "Ended": "结束时间",
    "now": "本次",
    "{when}: {value}, bounds {bounds}, {verdict}": (
        "{when}：{value}，置信区间 {bounds}，{verdict}"
    ),
    "{figure} over the last releases: {values}": "{figure} 历次发布：{values}",
    # distributions and time
    "Time to first token": "首 token 延迟 (TTFT)",
    "Time per output token": "每 token 延迟 (TPOT)",
    "How many requests had their first token within a time.": (
        "在给定时间内收到首 token 的请求占比。"
    ),
    "How many requests had their tokens, after the first, at least that fast on average.": (
        "首 token 之后，平均每 token 延迟不超过给定值的请求占比。"
    ),
    "A dot on the curve is a target's figure, and the line through it its bounds. Rounds that "
    "do not count are left out.": (
        "曲线上的圆点为指标的实测值，穿过圆点的线段为其置信区间。作废的轮次不在其中。"
    ),
    "all rounds": "全部轮次",
    "each round": "单轮",
    "stable release": "稳定版本",
    "limit of a target": "指标的目标值",
    "ms to the first token": "首 token 延迟 (ms)",
    "ms for a token": "每 token 延迟 (ms)",
    "share of requests": "请求占比",
    "{metric} at {load}: half within {p50} ms, 95 % within {p95} ms": (
        "{load} 的 {metric}：一半请求在 {p50} ms 内，95 % 在 {p95} ms 内"
    ),
    "median {p50} ms, p95 {p95} ms, {requests}{left}": (
        "中位数 {p50} ms，p95 {p95} ms，{requests}{left}"
    ),
    "; no round counts": "；没有有效轮次",
    "; {n} round does not count": "；{n} 轮作废",
    "; {n} rounds do not count": "；{n} 轮作废",
    "Throughput over time": "吞吐随时间变化",
    "Output tokens a second from the first measured request of a round to its last, after the "
    "warm-up. Only the tinted steady window counts: before it the load builds up, after it "
    "slots fall empty.": (
        "预热之后，一轮中从首个到末个测量请求的每秒输出 token 数。仅着色的稳态窗口计入：此前负载"
        "尚在爬升，此后并发逐渐空出。"
    ),
    "mean of the rounds": "各轮平均",
    "seconds since the round's first request": "距本轮首个请求的时间 (s)",
    "steady": "稳态",
    "Output throughput at {load} over {span} s of a round; steady from {start} s to {end} s": (
        "{load} 一轮 {span} s 内的输出吞吐；稳态为 {start} s 至 {end} s"
    ),
    # load points and rounds
    "Latency against load": "延迟与负载",
    "The line through all requests of a load point, and a dot for every round: what lies "
    "between the dots is noise, what lies between the load points is load. Hollow rounds do "
    "not count.": (
        "折线为每个负载点全部请求的结果，圆点为各轮结果：圆点之间的差异是噪声，负载点之间的差异才是"
        "负载的影响。空心圆点为作废轮次。"
    ),
    "load point": "负载点",
    "{load}, round {n}: {value} {unit}": "{load} 第 {n} 轮：{value} {unit}",
    "{figure} against load: {values}": "{figure} 随负载：{values}",
    "Latency against throughput": "延迟与吞吐",
    "One point a load point, with the bounds of each figure by itself at {confidence} % "
    "confidence; a bound that is still open runs to the edge. Further right and further down "
    "is better.": (
        "每个负载点一个圆点，横竖线为单项数值在 {confidence} % 置信水平下的置信区间，未定的一端画到"
        "边缘。越靠右、越靠下越好。"
    ),
    "TTFT p95 against throughput": "TTFT p95 与吞吐",
    "TPOT mean against throughput": "TPOT 平均与吞吐",
    "{load}: {rate} tok/s ({rate_bounds}), {time} ms ({time_bounds})": (
        "{load}：{rate} tok/s ({rate_bounds})，{time} ms ({time_bounds})"
    ),
    "Rounds": "轮次",
    "Each round asks fresh prompts. The differences between rounds are part of the bounds, so "
    "one lucky round cannot pass. Hollow rounds were not believed and do not count. "
    "The variation is the standard deviation as a share of the mean.": (
        "每轮使用全新的提示词。轮与轮之间的差异计入置信区间，单轮的好运不足以达标。空心圆点为不可信的"
        "轮次，不计入。波动为标准差与平均值之比。"
    ),
    "TTFT: mean, and the middle 90 %": "TTFT：平均值与中间 90 %",
    "Output throughput in the steady window": "稳态窗口内的输出吞吐",
    "All rounds in figures": "各轮数据",
    "round": "轮次",
    "round {n}: mean {mean} ms, {low} … {high}": "第 {n} 轮：平均 {mean} ms，{low} … {high}",
    "round {n}: {value} tok/s": "第 {n} 轮：{value} tok/s",
    "{rounds} at {load}: mean {mean} {unit}, spread {share}": (
        "{load} 共 {rounds}：平均 {mean} {unit}，波动 {share}"
    ),
    "mean {mean} {unit}, the rounds vary by {share}{left}": (
        "平均 {mean} {unit}，轮间波动 {share}{left}"
    ),
    "Round": "轮次",
    "Release": "版本",
    "Counts": "计入",
    "Answered": "已应答",
    "TTFT mean ms": "TTFT 平均 ms",
    "TTFT p95 ms": "TTFT p95 ms",
    "TPOT mean ms": "TPOT 平均 ms",
    "tok/s": "tok/s",
    "Server's TTFT ms": "服务端 TTFT ms",
    "Client CPU": "压测端 CPU",
    "Client lag ms": "压测端滞后 ms",
    "Seed": "随机种子",
    "{n} more round is in the record.": "另有 {n} 轮见记录。",
    "{n} more rounds are in the record.": "另有 {n} 轮见记录。",
    "Failed requests": "失败请求",
    "{failed} of {all} requests to the candidate failed; those of rounds that do not count "
    "are among them.": (
        "发往候选版本的 {all} 个请求中有 {failed} 个失败，作废轮次的请求也在其中。"
    ),
    "no reason kept": "未记录原因",
    "{n} time: {reason}": "{n} 次：{reason}",
    "{n} times: {reason}": "{n} 次：{reason}",
    "and {n} more reason, which is in the measured rows": "另有 {n} 种原因，见测量明细",
    "and {n} more reasons, which are in the measured rows": "另有 {n} 种原因，见测量明细",
    "Problems of the measurement": "测量问题",
    "A round with a problem says nothing about the model, and does not count.": (
        "出现问题的轮次不能说明模型的表现，不计入结果。"
    ),
    "None: the load generator kept up, the engine's own figures agree, and nothing restarted.": (
        "无：压测端没有成为瓶颈，引擎自身的指标与测量一致，期间没有重启。"
    ),
    "round {n} at {load}, {release}: {text}": "{load} 第 {n} 轮，{release}：{text}",
    # what was done
    "After the switch": "切换后观察",
    "Looks": "观察次数",
    "Bad looks": "异常次数",
    "Looks that saw nothing": "无数据次数",
    "Longest TTFT": "最长 TTFT",
    "Requests of others": "业务请求数",
    "Questions": "题目",
    "Right": "答对",
    "Without an answer": "未作答",
    "What was not right": "未答对的题目",
    "Question": "题目",
    "Answer": "回答",
    "Expected": "期望",
    "Smoke answers": "冒烟测试",
    "Smoke checks": "冒烟测试各项",
    "Check": "检查项",
    "Result": "结果",
    "Found": "实际",
    "Cards after the load": "加载后的加速卡",
    "Node": "节点",
    "Card": "卡号",
    "Card model": "型号",
    "In use, MiB": "已用 MiB",
    "Of, MiB": "总量 MiB",
    "Before, MiB": "加载前 MiB",
    "Role": "用途",
    "loaded": "已加载模型",
    "other": "其他 Pod 占用",
    "idle": "空闲",
    "untold": "未知",
    "not told": "未提供",
    "Steps": "步骤",
    "Steps with their durations": "各步骤及耗时",
    "{span} from the first step to the last.": "从第一步到最后一步共 {span}。",
    "{step}: {span} from {start} on, {state}": "{step}：自 {start} 起 {span}，{state}",
    "Step": "步骤",
    "When": "时间段",
    "Took": "耗时",
    "Outcome": "结果",
    "done": "完成",
    "failed": "失败",
    "Resolve model": "解析模型",
    "Validate nodes": "检查节点",
    "Plan": "计划",
    "Fetch weights": "拉取权重",
    "Deploy": "部署",
    "Smoke": "冒烟测试",
    "Benchmark": "压测",
    "Judge": "判定",
    "Promote": "上线",
    "Hold": "挂起",
    "Roll back": "回滚",
    "What was rolled out": "发布内容",
    "Model": "模型",
    "Revision": "修订",
    "Commit": "提交",
    "Manifest": "文件清单",
    "Weights": "权重",
    "{n} file": "{n} 个文件",
    "{n} files": "{n} 个文件",
    "Image": "镜像",
    "Image digest": "镜像摘要",
    "Pods": "Pod",
    "{pod} on {node}": "{pod}（位于 {node}）",
    "Reached by": "访问方式",
    "Remote code": "远程代码",
    "trusted": "已信任",
    "Cluster": "集群",
    "Namespace": "命名空间",
    "Started by": "发起者",
    "Because": "原因",
    "Rollout": "发布",
    "Record": "记录",
    "Mirrored to": "备份至",
    "Nodes": "节点",
    "Nodes and what they hold": "各节点配置",
    "Usable": "状态",
    "usable": "可用",
    "not usable": "不可用",
    "Driver": "驱动",
    "Cards": "加速卡",
    "CPU": "CPU",
    "Resource": "资源名",
    "Remarks": "备注",
    "Strategy": "策略",
    "parallel": "并行",
    "lend": "借用在线副本的加速卡",
    "place": "直接部署",
    "replace": "替换",
    "refused": "拒绝",
    "unchanged": "无变化",
    "Served before": "此前在线",
    "Interruption": "服务中断",
    "Approval": "审批",
    "To fetch": "待拉取",
    "Accelerators": "加速卡",
    "accelerators": "加速卡",
    "{n} {resource} needed, {free} free": "需要 {n} 个 {resource}，空闲 {free} 个",
    "a person approves before promotion": "上线前需人工审批",
    "Digest": "摘要",
    "Different from what serves": "与在线版本的差异",
    "Second check": "复核",
    "The verdict was checked once more by Great Expectations: {said}.": (
        "判定由 Great Expectations 复核：{said}。"
    ),
    "every expectation held": "全部期望成立",
    "not every expectation held": "有期望不成立",
    "Table": "数据表",
    "Expectations held": "成立的期望",
    "The suite by table": "按数据表列出",
    "Open the Data Docs of this check": "打开本次复核的 Data Docs",
    "Versions and spec": "版本与配置",
    "The spec as it was run": "本次使用的配置",
}
