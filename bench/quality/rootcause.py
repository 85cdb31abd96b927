#!/usr/bin/env python3
"""Root-cause ranking on public data: prints one JSON object a line.

    rootcause.py --grace BIN --shared DIR                  the scores of `grace score rootcause`
    rootcause.py --ablation TOOL --shared DIR              table for rootcause.md; TOOL is the
                                                           program rootcause_ablation of bench/

DIR holds scoring/ (converters and scorers, which are called, not copied) and data/. The converted
inputs (about 480 MB) go into a temporary folder, or into --work, which is kept and used again.
"""
import argparse
import csv
import glob
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta

NONE = "none of these"
# Sets of constants for the ablation; the first is the default.
CONFIGS = [
    "", "level_half=1", "level_half=2", "level_half=1000", "count_half=10", "count_half=1000",
    "noise=1", "noise=3", "agree=1", "agree=3", "share_weight=0", "share_weight=2",
    "explained=0", "explained=1", "calls_weight=0", "calls_weight=1", "other_trouble=0",
    "other_trouble=1", "unknown_weight=0.5", "window_s=120", "window_s=300",
]


def module(shared, name):
    path = os.path.join(shared, "scoring", name + ".py")
    sys.path.insert(0, os.path.dirname(path))
    sys.dont_write_bytecode = True
    spec = importlib.util.spec_from_file_location(name, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def convert(shared, work):
    script = os.path.join(shared, "scoring", "convert.py")
    for name, arguments in (("petshop", []), ("nezha_tt", ["2023-01-29"])):
        out = os.path.join(work, name)
        if os.path.isdir(out):
            continue
        command = [sys.executable, "-B", script, name.split("_")[0],
                   os.path.join(shared, "data", name), *arguments, out + ".part"]
        subprocess.run(command, check=True)
        os.rename(out + ".part", out)


def cases(work, name):
    """[(folder, truth)] in order"""
    root = os.path.join(work, name)
    found = []
    for folder in sorted(os.listdir(root)):
        with open(os.path.join(root, folder, "truth.json")) as file:
            found.append((os.path.join(root, folder), json.load(file)))
    return found


def without_logs(folder, work):
    """a copy of metrics.csv without what comes from logs"""
    path = os.path.join(work, "without_logs", os.path.basename(folder) + ".csv")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.path.join(folder, "metrics.csv"), newline="") as source, \
                open(path + ".part", "w", newline="") as target:
            for line in source:
                if not line.split(",", 3)[2].startswith("log"):
                    target.write(line)
        os.rename(path + ".part", path)
    return path


def spans_csv(shared, work):
    """all calls of Nezha's traces, the fault-free phase before them, in order of their start"""
    path = os.path.join(work, "nezha_spans.csv")
    if os.path.exists(path):
        return path
    converter = module(shared, "convert")
    root, day = os.path.join(shared, "data", "nezha_tt"), "2023-01-29"
    shift = None
    with open(path + ".part", "w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(("timestamp", "trace", "span", "parent", "service", "operation",
                         "duration_ms", "result"))
        for phase in ("construct_data", "rca_data"):
            calls = {}
            for name in sorted(glob.glob(os.path.join(root, phase, day, "trace", "*"))):
                with converter.opened(name) as file:
                    calls.update((row["SpanID"], row) for row in csv.DictReader(file))
            starts = [int(row["StartTimeUnixNano"]) for row in calls.values()]
            if shift is None:  # it was recorded in the middle of the day: ends before all else
                shift = (first_fault(work) - max(starts) // 10**9 - 3600) * 10**9
            else:
                shift = 0
            for begin, row in sorted(zip(starts, calls.values()), key=lambda each: each[0]):
                begin, taken = begin + shift, int(row["EndTimeUnixNano"]) - begin
                stamp = converter.rfc3339(begin // 10**9)[:-1] + f".{begin % 10**9:09}Z"
                parent = "" if row["ParentID"] == "root" else row["ParentID"]
                writer.writerow((stamp, row["TraceID"], row["SpanID"], parent,
                                 converter.nezha_score.service(row["PodName"]),
                                 row["OperationName"], f"{taken / 1e6:.6f}", ""))
    os.rename(path + ".part", path)
    return path


def first_fault(work):
    truth = cases(work, "nezha_tt")[0][1]
    return int(datetime.fromisoformat(truth["injected"].replace("Z", "+00:00")).timestamp())


def normal_moments(truth, count=12):
    """moments of the normal phase, every 100 minutes back from half an hour before the issue"""
    at = datetime.fromisoformat(truth["at"].replace("Z", "+00:00")) - timedelta(minutes=30)
    return [(at - timedelta(minutes=100 * i)).strftime("%Y-%m-%dT%H:%M:%SZ") for i in range(count)]


def symptom(truth):
    return f"{truth['alarm_service']}:{truth['alarm_metric']}"


class Ranker:
    """Calls `grace score rootcause` and keeps count of its cost."""

    def __init__(self, grace):
        self.grace, self.seconds, self.runs = grace, 0.0, 0

    def rank(self, folder, at, metrics=None, alarm=None, spans=None):
        command = [self.grace, "score", "rootcause", "--topology",
                   os.path.join(folder, "edges.csv"), "--metrics",
                   metrics or os.path.join(folder, "metrics.csv"), "--at", at]
        if alarm:
            command += ["--symptom", alarm]
        if spans:
            command += ["--spans", spans]
        with tempfile.TemporaryFile() as out:
            child = subprocess.Popen(command, stdout=out)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode != 0:
                raise RuntimeError(f"exit code {child.returncode}: {' '.join(command)}")
            out.seek(0)
            ranking = json.load(out)["ranking"]
        total = sum(entry["probability"] for entry in ranking)
        if abs(total - 1) > 1e-9:
            raise RuntimeError(f"probabilities sum to {total}: {' '.join(command)}")
        self.seconds += usage.ru_utime + usage.ru_stime
        self.runs += 1
        return [entry["service"] for entry in ranking]

    def cost(self):
        return {"cpu_seconds_a_ranking": round(self.seconds / max(1, self.runs), 3),
                "rankings": self.runs}


def emit(data, metric, value, floor, goal, published, detail):
    print(json.dumps({"data": data, "metric": metric, "value": round(value, 4), "floor": floor,
                      "goal": goal, "published": published, "detail": detail}), flush=True)


def score_petshop(grace, shared, work):
    scorer = module(shared, "petshop_score")
    listed = scorer.issues(os.path.join(shared, "data", "petshop"))
    ranker, rankings, normal, named = Ranker(grace), {}, 0, []
    for folder, truth in cases(work, "petshop"):
        # "None of these" keeps its place: a cause named behind it is not the first answer.
        rankings[truth["key"]] = ranker.rank(folder, truth["at"], alarm=symptom(truth))
        if truth["key"].endswith(("issue_0", "issue_4")):
            for at in normal_moments(truth):
                normal += 1
                first = ranker.rank(folder, at, alarm=symptom(truth))[0]
                if first != NONE:
                    named.append((truth["key"].split("/")[0], at, first))
    table = scorer.score(listed, rankings)
    both = table["ALL", "both"]
    detail = {"issues": both["n"], "declined": sum(r[0] == NONE for r in rankings.values()),
              "groups": {f"{g} {m}": [round(v["top1"], 3), round(v["top3"], 3)]
                         for (g, m), v in table.items()}, **ranker.cost()}
    emit("petshop", "top-1", both["top1"], .50, .80, "traversal .654 on all 52, .125 on these",
         detail)
    emit("petshop", "top-3", both["top3"], .85, 1.0, "traversal .827 on all 52, .688 on these",
         detail)
    emit("petshop normal", "specificity", 1 - len(named) / normal, None, 1.0,
         "traversal: latency .167 and .333, availability 1.0",
         {"moments": normal, "named": named})


def score_nezha(grace, shared, work, logs, spans=None):
    scorer = module(shared, "nezha_score")
    listed = scorer.faults(os.path.join(shared, "data", "nezha_tt"))
    ranker, rankings = Ranker(grace), {}
    for folder, truth in cases(work, "nezha_tt"):
        metrics = None if logs else without_logs(folder, work)
        rankings[truth["key"]] = ranker.rank(folder, truth["at"], metrics, spans=spans)
    table = scorer.score(listed, rankings)
    every = table["ALL"]
    detail = {"faults": every["n"], "declined": sum(r[0] == NONE for r in rankings.values()),
              "as5": round(100 * every["as5"], 1),
              "kinds": {k: [v["n"]] + [round(100 * v[a], 1) for a in ("as1", "as3", "as5")]
                        for k, v in table.items() if k != "ALL"}, **ranker.cost()}
    name = "nezha " + ("with logs" if logs else "without logs") + (", spans" if spans else "")
    floors, published = ((65, 80), (90, 98)), ("Nezha 86.67", "Nezha 97.78")
    if not logs:
        floors, published = ((45, 60), (60, 80)), ("Nezha 42.22", "Nezha 44.44")
    for i, rank in enumerate(("as1", "as3")):
        emit(name, f"AS@{rank[2]}", 100 * every[rank], floors[0][i], floors[1][i], published[i],
             detail)


# --- ablation ---

def ablation_cases(work, spans):
    """[(line of CASES, group, fold, truth)]"""
    found = []
    for left_out, calls, group in (("", "", "logs"), ("log", "", "no logs"),
                                   ("", spans, "logs, spans"), ("log", spans, "spans")):
        for folder, truth in cases(work, "nezha_tt"):
            fold = truth["kind"], "early" if truth["key"][11:16] < "10:22" else "late"
            found.append(((folder, truth["at"], "", left_out, calls), group, fold, truth))
    for folder, truth in cases(work, "petshop"):
        fold = (truth["key"].split("/")[0],)
        found.append(((folder, truth["at"], symptom(truth), "", ""), "petshop", fold, truth))
        if truth["key"].endswith(("issue_0", "issue_4")):
            for at in normal_moments(truth, 36):
                found.append(((folder, at, symptom(truth), "", ""), "normal", fold, truth))
    return found


def run_ablation(tool, work, listed, configs):
    """{config: [answer of each case]}"""
    paths = [os.path.join(work, name) for name in ("cases.tsv", "configs.txt")]
    with open(paths[0], "w") as file:
        for (folder, at, alarm, left_out, spans), *_ in listed:
            file.write("\t".join((os.path.join(folder, "edges.csv"),
                                  os.path.join(folder, "metrics.csv"), at, alarm, left_out,
                                  spans)) + "\n")
    with open(paths[1], "w") as file:
        file.writelines(config + "\n" for config in configs)
    lines = subprocess.run([tool, *paths], check=True, capture_output=True, text=True).stdout
    answers = {config: [None] * len(listed) for config in configs}
    for line in lines.splitlines():
        answer = json.loads(line)
        answers[configs[answer["config"]]][answer["case"]] = answer
    return answers


def rank_of(answer, truth):
    """place of the true service, 0 the first; "none of these" takes the first place if it wins"""
    names = [entry["service"] for entry in answer["services"]]
    declined = not names or answer["services"][0]["probability"] <= answer["none"]
    return names.index(truth) + declined if truth in names else 99


def summary(answers, listed, chosen=lambda group, fold: True):
    """{group: (cases, first, among the first three)}; normal: (moments, causes named, same)"""
    sums = {}
    for answer, (_, group, fold, truth) in zip(answers, listed):
        if not chosen(group, fold):
            continue
        n, first, three = sums.get(group, (0, 0, 0))
        if group == "normal":
            place = 0 if answer["services"][0]["probability"] > answer["none"] else 99
        else:
            place = rank_of(answer, truth["truth"])
        sums[group] = (n + 1, first + (place < 1), three + (place < 3))
    return sums


def worth(sums):
    """what cross-validation chooses by: mean of the shares, less causes named on normal data"""
    shares = [(f + t) / (2 * n) for g, (n, f, t) in sums.items() if g in ("logs", "petshop")]
    n, named, _ = sums.get("normal", (1, 0, 0))
    return sum(shares) / max(1, len(shares)) - named / n


def ablate(tool, work, spans):
    listed = ablation_cases(work, spans)
    answers = run_ablation(tool, work, listed, CONFIGS)
    for config in CONFIGS:
        print(json.dumps({"config": config or "defaults",
                          **summary(answers[config], listed)}), flush=True)
    folds = sorted({name for _, _, fold, _ in listed for name in fold})
    for name in folds:
        rest = {c: worth(summary(answers[c], listed, lambda g, f: name not in f)) for c in CONFIGS}
        best = max(CONFIGS, key=lambda c: (rest[c], -CONFIGS.index(c)))
        held = summary(answers[best], listed, lambda g, f: name in f)
        ours = summary(answers[""], listed, lambda g, f: name in f)
        print(json.dumps({"held out": name, "chosen": best or "defaults", "score": held,
                          "defaults": ours}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grace")
    parser.add_argument("--ablation", metavar="TOOL")
    parser.add_argument("--shared", required=True)
    parser.add_argument("--work", help="keep the converted inputs here")
    arguments = parser.parse_args()
    if bool(arguments.grace) == bool(arguments.ablation):
        parser.error("give either --grace or --ablation")
    work = arguments.work or tempfile.mkdtemp(prefix="rootcause.")
    os.makedirs(work, exist_ok=True)
    try:
        begin = time.time()
        convert(arguments.shared, work)
        print(f"converted in {time.time() - begin:.0f} s", file=sys.stderr)
        if arguments.ablation:
            ablate(arguments.ablation, work, spans_csv(arguments.shared, work))
            return
        score_petshop(arguments.grace, arguments.shared, work)
        for spans in (None, spans_csv(arguments.shared, work)):
            for logs in (False, True):
                score_nezha(arguments.grace, arguments.shared, work, logs, spans)
    finally:
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
