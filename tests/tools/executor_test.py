"""Playbooks that really run: executed, verified against the stream, held back, killed.

A small service is simulated: it sends its latency and its actions to the engine, fails until the
remedy's marker file is there, and is well from then on.
"""
import contextlib
import os
import socket
import threading
import time

import harness
from harness import check, equal, wait_for

CONFIG = """
mode = "{mode}"
[correlate]
group_wait = "2s"
[proactive]
bin = "1s"
horizon = "30s"
observed_metrics = ["latency_ms"]
[log_analyzer]
error_settle = "1s"
[schedule]
exec_allowed = ["{remedy}"]
approval_expiry = "{expiry}"
[[topology]]
service = "shop"
domain = "core"
[[topology]]
service = "portal"
domain = "edge"
depends_on = ["shop"]
[[playbook]]
name = "rollback_flag"
risk = "low"
cooldown = "0s"
[[playbook.parameter]]
name = "service"
[[playbook.step]]
name = "remedy"
exec = ["{remedy}", "{{service}}", "a b;$HOME"]
timeout = "{timeout}"
[playbook.verify]
hold = "2s"
within = "{within}"
[[playbook.verify.check]]
is = "below"
metric = "latency_ms"
value = 50
[[policy]]
name = "the test's"
decision = "{decision}"
"""

# Shows what it was given, then heals the service.
REMEDY = """#!/bin/sh
{ printf '%s\\n' "$@"; echo "environment: $(env | grep -v -e ^PWD= -e ^SHLVL= -e ^_=)"; } > SEEN
touch HEALED
"""

# Starts a child that would act later, leaves the process group with another, and hangs.
HANGING = """#!/bin/sh
echo $$ > HANG_PID
(sleep 6; touch TOO_LATE) &
setsid sh -c 'echo $$ > AWAY_PID; sleep 6; touch TOO_LATE' &
sleep 600
"""


def configure(grace, script=REMEDY, mode="auto", decision="allow", expiry="30m", timeout="20s",
              within="60s"):
    for name in ("SEEN", "HEALED", "HANG_PID", "AWAY_PID", "TOO_LATE"):
        script = script.replace(name, grace.path(name.lower()))
    remedy = grace.write("remedy", script)
    os.chmod(remedy, 0o755)
    return grace.write("grace.toml", CONFIG.format(
        mode=mode, remedy=remedy, expiry=expiry, decision=decision, timeout=timeout,
        within=within))


class Service(threading.Thread):
    """Sick until the marker exists; tells the engine about itself five times a second."""

    def __init__(self, grace, port):
        super().__init__(daemon=True)
        self.healed = grace.path("healed")
        self.connection = socket.create_connection(("127.0.0.1", port), 10)
        self.done = threading.Event()

    def run(self):
        told = False
        started = time.monotonic()
        with contextlib.suppress(OSError), self.connection:
            while not self.done.wait(0.2):
                sick = not os.path.exists(self.healed)
                failing = sick and time.monotonic() - started < 3
                lines = [{"kind": "metric", "service": "shop", "domain": "core",
                          "metric": "latency_ms", "value": 400 if sick else 12},
                         {"kind": "action", "actor": "checkout", "action": "pay",
                          "resource": "shop", "domain": "core",
                          "result": "error" if failing else "success"}]
                if failing and not told:
                    told = True
                    lines.append(mesh_event("shop"))
                self.connection.sendall(harness.lines_of(lines))


def mesh_event(service, diagnosis="upstream_sees_errors"):
    return {"event_type": "agentic_spine.health_degradation", "source": "spine", "actor": "spine",
            "resource": service, "domain": "core",
            "payload": {"diagnosis_code": diagnosis, "confidence": 0.9, "impact": "high",
                        "reasoning": ["errors seen"], "suggested_playbooks": ["rollback_flag"]}}


@contextlib.contextmanager
def living(grace, config, *arguments):
    """The engine with its service."""
    port = harness.free_port()
    with grace.engine("--config", config, "--record", grace.path("journal"),
                      "--source", f"tcp:127.0.0.1:{port}", *arguments) as engine:
        service = Service(grace, port)
        service.start()
        try:
            yield engine
        finally:
            service.done.set()
            service.join()


def runs(engine):
    return engine.control("runs", "list")["runs"]


def run_in(engine, *states, seconds=30):
    """Waits for the only run to be in one of the states."""
    def found():
        matching = [run for run in runs(engine) if run["status"] in states]
        return matching[0] if matching else None
    try:
        return wait_for(f"a run is {' or '.join(states)}", found, seconds)
    except harness.Failure as failure:
        raise harness.Failure(f"{failure}; runs: {runs(engine)}; "
                              f"stats: {engine.stats()['engine']}; {engine.stderr()}") from failure


def a_sick_service_is_healed_and_verified(grace, arguments):
    with living(grace, configure(grace)) as engine:
        run = run_in(engine, "succeeded", "failed", "rolled_back")
        equal(run["status"], "succeeded", run)
        equal((run["playbook"], run["service"], run["blast_radius"]), ("rollback_flag", "shop", 1),
              "the run")
        shown = engine.control("runs", "show", run["run_id"])["runs"]
        equal([r["run_id"] for r in shown], [run["run_id"]], "runs show")
        with open(grace.path("seen"), encoding="utf-8") as seen:
            lines = seen.read().splitlines()
        equal(lines[:2], ["shop", "a b;$HOME"], "arguments go through as they are, no shell")
        equal(lines[2:], ["environment: "], "the environment is empty")
        summary = engine.stop()
    offline = grace.json("runs", "list", "--ledger", grace.path("ledger"))["runs"]
    equal([(r["run_id"], r["status"]) for r in offline], [(run["run_id"], "succeeded")],
          "the same run without an engine")
    states = [record["result"] for record in grace.records()
              if record["action"] == "playbook_run" and
              record["payload"]["run_id"] == run["run_id"]]
    equal(states, ["proposed", "approved", "executing", "verifying", "succeeded"], "its states")
    # A replay takes the step's result from the journal and executes nothing.
    os.remove(grace.path("seen"))
    replayed = grace.json("replay", grace.path("journal"), "--config", grace.path("grace.toml"))
    equal(replayed["decision_digest"], summary["decision_digest"], "replayed decisions")
    check(not os.path.exists(grace.path("seen")), "the replay executed the playbook")


def suggest_proposes_and_executes_nothing(grace, arguments):
    with living(grace, configure(grace, mode="suggest")) as engine:
        run = run_in(engine, "awaiting_approval")
        time.sleep(2)
        equal([r["status"] for r in runs(engine)], ["awaiting_approval"], run)
        # Not even when a person approves: who wants that sets mode auto.
        grace.run("runs", "approve", run["run_id"], "--ledger", engine.ledger, code=None)
        time.sleep(2)
        note = engine.control("runs", "show", run["run_id"])["runs"][0]
        engine.stop()
    check(not os.path.exists(grace.path("seen")), "suggest mode executed a playbook")
    return f"{note['status']}: {note['reason']}"


def observe_proposes_nothing(grace, arguments):
    with living(grace, configure(grace, mode="observe")) as engine:
        wait_for("an incident is open", lambda: engine.stats()["engine"]["incidents"] > 0)
        time.sleep(4)  # twice the group_wait
        equal(runs(engine), [], "runs in observe mode")
        engine.stop()
    check(not os.path.exists(grace.path("seen")), "observe mode executed a playbook")


def a_person_approves(grace, arguments):
    with living(grace, configure(grace, decision="require_approval")) as engine:
        run = run_in(engine, "awaiting_approval")
        check(not os.path.exists(grace.path("seen")), "executed without an approval")
        engine.control("runs", "approve", run["run_id"], "--reason", "looked at it")
        run = run_in(engine, "succeeded", "failed", "rolled_back")
        equal(run["status"], "succeeded", run)
        equal(run["approved_by"], f"user:{os.getuid()}", "who approved, by the kernel's word")
        engine.control("runs", "approve", "run_0000000000000000", code=1)
        engine.stop()


def a_person_rejects(grace, arguments):
    with living(grace, configure(grace, decision="require_approval")) as engine:
        run = run_in(engine, "awaiting_approval")
        engine.control("runs", "reject", run["run_id"], "--reason", "not now")
        run = run_in(engine, "denied")
        late = engine.control("runs", "approve", run["run_id"], code=1)
        check(run["status"] in late.stderr, "why it has no effect:", late.stderr)
        time.sleep(1.5)
        equal(engine.control("runs", "show", run["run_id"])["runs"][0]["status"], "denied",
              "a rejected run, approved afterwards")
        engine.stop()
    check(not os.path.exists(grace.path("seen")), "a rejected run was executed")


def an_expired_approval_does_not_execute(grace, arguments):
    with living(grace, configure(grace, decision="require_approval", expiry="2s")) as engine:
        run = run_in(engine, "awaiting_approval")
        run = run_in(engine, "expired")
        late = engine.control("runs", "approve", run["run_id"], code=1)
        check(run["status"] in late.stderr, "why it has no effect:", late.stderr)
        time.sleep(1.5)
        equal(engine.control("runs", "show", run["run_id"])["runs"][0]["status"], "expired",
              "an expired run, approved afterwards")
        engine.stop()
    check(not os.path.exists(grace.path("seen")), "an expired run was executed")


def pause_holds_also_after_a_restart(grace, arguments):
    config = configure(grace)
    port = harness.free_port()
    with grace.engine("--config", config, "--source", f"tcp:127.0.0.1:{port}") as engine:
        engine.control("pause", "--reason", "red button")
        check(engine.stats()["paused"], "not paused")
        engine.stop()
    with living(grace, config) as engine:
        check(engine.stats()["paused"], "the pause is forgotten after a restart")
        wait_for("an incident is open", lambda: engine.stats()["engine"]["incidents"] > 0)
        time.sleep(4)
        started = [run for run in runs(engine) if run["status"] not in
                   ("proposed", "awaiting_approval", "denied")]
        equal(started, [], "runs started while paused")
        check(not os.path.exists(grace.path("seen")), "executed while paused")
        engine.kill()
    with grace.engine("--config", config, "--source", f"tcp:127.0.0.1:{port}") as engine:
        check(engine.stats()["paused"], "the pause is forgotten after a kill")
        engine.control("resume", "--reason", "all clear")
        check(not engine.stats()["paused"], "still paused")
        # Work goes on: a new problem of another service is remedied.
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(harness.lines_of([mesh_event("portal")]))
            run_in(engine, "executing", "verifying", "succeeded")
        engine.stop()


def a_hanging_command_dies_with_its_children(grace, arguments):
    with living(grace, configure(grace, script=HANGING, timeout="1500ms")) as engine:
        wait_for("the command runs", lambda: os.path.exists(grace.path("away_pid")))
        time.sleep(0.2)
        pids = [int(open(grace.path(name), encoding="ascii").read())
                for name in ("hang_pid", "away_pid")]
        run = run_in(engine, "failed", "rolled_back")
        wait_for("its processes are gone", lambda: all(map(harness.process_gone, pids)))
        time.sleep(6.5)  # longer than the children slept before they would have acted
        check(not os.path.exists(grace.path("too_late")), "a child outlived the timeout and acted")
        engine.stop()
    steps = [r["result"] for r in grace.records() if r["action"] == "playbook_step"]
    check("timed_out" in steps or "failed" in steps, "steps:", steps)
    return run["reason"]


def stopping_kills_what_hangs(grace, arguments):
    with living(grace, configure(grace, script=HANGING, timeout="10m")) as engine:
        wait_for("the command runs", lambda: os.path.exists(grace.path("away_pid")))
        time.sleep(0.2)
        pids = [int(open(grace.path(name), encoding="ascii").read())
                for name in ("hang_pid", "away_pid")]
        engine.stop()
        wait_for("its processes are gone", lambda: all(map(harness.process_gone, pids)))
    # The next start knows that it was in the middle, and does not do the step again.
    os.remove(grace.path("hang_pid"))
    with grace.engine("--config", grace.path("grace.toml"), "--source",
                      f"tcp:127.0.0.1:{harness.free_port()}") as engine:
        run = run_in(engine, "failed", "rolled_back")
        check(not os.path.exists(grace.path("hang_pid")), "the step was executed twice")
        engine.stop()
    return run["reason"]


def unknown_playbooks_stop_the_start(grace, arguments):
    good = open(configure(grace), encoding="utf-8").read()
    cases = {
        "a policy for a playbook that is not there":
            (good + 'playbook = "restart_everything"\n', "restart_everything", "[[policy]]"),
        "a step that is not allowed":
            (good.replace("exec_allowed = [", 'exec_allowed = ["/bin/true"] # ['), "exec",
             "exec = "),
        "a check that does not exist":
            (good.replace('is = "below"', 'is = "fine"'), "fine", 'is = "fine"'),
        "an unknown setting":
            (good.replace("[[policy]]", "[[policy]]\ncolour = 1"), "colour", "colour"),
    }
    for what, (text, word, at) in cases.items():
        path = grace.write("bad.toml", text)
        line = next(i for i, row in enumerate(text.splitlines(), 1) if at in row)
        for command in (["run", "--ledger", grace.path("other"), "--config", path],
                        ["check", path]):
            done = grace.run(*command, code=2)
            check(word in done.stderr, what, "is not named:", done.stderr)
            check(f"bad.toml:{line}" in done.stderr or at in ("[[policy]]", "exec = ") and
                  "bad.toml:" in done.stderr, what, "without its place:", done.stderr)


if __name__ == "__main__":
    harness.main([a_sick_service_is_healed_and_verified, suggest_proposes_and_executes_nothing,
                  observe_proposes_nothing, a_person_approves, a_person_rejects,
                  an_expired_approval_does_not_execute, pause_holds_also_after_a_restart,
                  a_hanging_command_dies_with_its_children, stopping_kills_what_hangs,
                  unknown_playbooks_stop_the_start], __doc__)
