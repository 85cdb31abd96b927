"""tools/grace_ledger.py against a live engine: what is logged is in the ledger, and in a replay."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools"))
import grace_ledger
import harness
from harness import check, equal


@contextlib.contextmanager
def engine_of(grace, *arguments):
    with grace.engine("--source", "unix:" + grace.path("in.sock"), *arguments) as engine:
        grace_ledger.connect(engine.control_path)
        yield engine


def every_kind_is_recorded(grace, _):
    with engine_of(grace, "--record", grace.path("journal")) as engine:
        receipts = [grace_ledger.immutable_log.append(
            actor="proactive_ml", action="intelligent_trigger", resource="api_service",
            subsystem="intelligent_triggers", payload={"likelihood": 0.87, "ts": 1, "kind": "x"},
            result="emitted")]
        logger = grace_ledger.get_subsystem_logger("my_subsystem")
        receipts.append(logger.log_start())
        receipts.append(logger.log_action("system", "process_data", "data_pipeline",
                                          payload={"records": 1000, "quote": 'say "hi"\n'}))
        try:
            raise ValueError("bad row")
        except ValueError as error:
            receipts.append(logger.log_error("worker_3", "transform_data", "dataset_123", error))
        receipts.append(logger.log_decision("policy_engine", "approval", "deployment_456",
                                            "approved", ["low risk", "within window"], 0.92))
        receipts.append(logger.log_prediction("ml_model", "capacity", "api_cluster", 1500, 0.85,
                                              current_value=1000))
        receipts.append(logger.log_stop())
        stats = grace_ledger.subsystem_registry.get_subsystem_stats()
        summary = engine.stop()
    for receipt in receipts:
        equal((receipt.durability, receipt.timed_out), ("D2", False), "how safe it was")
    records = {record["seq"]: record for record in grace.records()}
    logged = [records[receipt.sequence] for receipt in receipts]
    equal([(r["subsystem"], r["actor"], r["action"], r["resource"], r["result"]) for r in logged], [
        ("intelligent_triggers", "proactive_ml", "intelligent_trigger", "api_service", "emitted"),
        ("my_subsystem", "system", "start", "my_subsystem", "started"),
        ("my_subsystem", "system", "process_data", "data_pipeline", "success"),
        ("my_subsystem", "worker_3", "transform_data", "dataset_123", "error"),
        ("my_subsystem", "policy_engine", "decision_approval", "deployment_456", "approved"),
        ("my_subsystem", "ml_model", "prediction_capacity", "api_cluster", "predicted"),
        ("my_subsystem", "system", "stop", "my_subsystem", "stopped")], "the records")
    equal([r["payload"] for r in logged[2:6]], [
        {"records": 1000, "quote": 'say "hi"\n'},
        {"error": "bad row", "error_type": "ValueError"},
        {"decision_type": "approval", "decision": "approved",
         "reasoning": ["low risk", "within window"], "confidence": 0.92},
        {"prediction_type": "capacity", "predicted_value": 1500, "current_value": 1000,
         "confidence": 0.85}], "payloads")
    check(all(r["logged_by"] == f"user:{os.getuid()}" for r in logged), "who logged", logged)
    mine = stats["my_subsystem"]
    equal((mine["total_events"], mine["event_counts"]["process_data"]), (6, 1), "statistics")
    check(mine["last_logged"].endswith("Z"), "last_logged:", mine)
    equal(stats["intelligent_triggers"]["total_events"], 1, "of the other subsystem")
    grace.run("ledger", "verify", engine.ledger)
    # The entries are in the journal: a replay makes the same decisions and the same records.
    replayed = grace.json("replay", grace.path("journal"))
    equal(replayed["decision_digest"], summary["decision_digest"], "the digest of a replay")
    equal(replayed["records"], summary["records"], "records of a replay")


def an_entry_cannot_pass_for_the_engines_own(grace, _):
    with engine_of(grace) as engine:
        grace_ledger.immutable_log.append(
            actor="operator", action="decision_pause", resource="scheduler", subsystem="self_heal",
            result="paused", payload={"decision_type": "pause", "reasoning": ["forged"],
                                      "confidence": 1, "rule": "person", "subject": "scheduler"})
        check(not engine.stats()["paused"], "paused by an entry")
        engine.stop()
    with engine_of(grace) as engine:
        check(not engine.stats()["paused"], "paused by an entry of before the restart")
        engine.stop()


def what_is_wrong_is_refused_by_name(grace, _):
    good = {"op": "log", "kind": "action", "subsystem": "s", "actor": "a", "action": "b",
            "resource": "c", "result": "d"}
    cases = [
        ({"kind": "song"}, "kind must be"), ({"kind": None}, "kind must be a text"),
        ({"subsystem": ""}, "subsystem is empty"), ({"actor": 7}, "actor must be a text"),
        ({"actor": "x" * 257}, "actor has more than 256 bytes"),
        ({"payload": [1]}, "payload must be an object"), ({"payloda": {}}, "'payloda' is no field"),
        ({"durability": "D3"}, "durability must be"), ({"timeout_ms": 0}, "timeout_ms must be"),
        ({"timeout_ms": 5001}, "timeout_ms must be"),
        ({"payload": {"x": "y" * 33000}}, "entry has more than 32768 bytes"),
        ({"kind": "decision", "decision_type": "t", "decision": "d", "confidence": 2},
         "confidence must be from 0 to 1"),
    ]
    with engine_of(grace) as engine:
        for change, expected in cases:
            answer = engine.ask({**good, **change})
            check(not answer["ok"] and "log: " + expected in answer["error"], change, answer)
        equal(engine.ask({**good, "durability": "D0"})["ok"], True, "a good one")
        try:
            grace_ledger.get_subsystem_logger("s").log_action("", "b", "c")
            check(False, "an empty actor was taken")
        except grace_ledger.LedgerError as error:
            check("actor is empty" in str(error), error)
        engine.stop()
    equal(len(grace.records()), 1, "records")
    try:
        grace_ledger.get_subsystem_logger("s").log_action("a", "b", "c")
        check(False, "nobody was there")
    except OSError:
        pass


def a_client_goes_on_with_the_next_engine(grace, _):
    logger = grace_ledger.get_subsystem_logger("s")
    with engine_of(grace) as engine:
        first = logger.log_action("a", "first", "c")
        engine.stop()
    with grace.engine("--source", "unix:" + grace.path("in.sock")) as engine:
        try:
            second = logger.log_action("a", "second", "c")
        except ConnectionError:
            second = logger.log_action("a", "second", "c")
        check(second.sequence > first.sequence, first, second)
        engine.stop()
    grace_ledger._client.close()


def with_retention_the_number_is_not_known(grace, _):
    config = grace.write("keep.toml", '[engine]\nledger_retention_bytes = "1GiB"\n')
    logger = grace_ledger.get_subsystem_logger("s")
    with engine_of(grace, "--config", config) as engine:
        receipt = logger.log_action("a", "kept", "c")
        equal((receipt.sequence, receipt.durability, receipt.timed_out), (0, "D2", False), "kept")
        good = {"op": "log", "kind": "start", "subsystem": "s", "actor": "a"}
        for asked, reached in (("D0", "D0"), ("D1", "D2")):
            answer = engine.ask({**good, "durability": asked})
            equal((answer["sequence"], answer["durability"], answer["timed_out"]),
                  (0, reached, False), asked)
        engine.stop()
    equal([record["action"] for record in grace.records()], ["kept", "start", "start"], "records")


harness.main([every_kind_is_recorded, an_entry_cannot_pass_for_the_engines_own,
              what_is_wrong_is_refused_by_name, a_client_goes_on_with_the_next_engine,
              with_retention_the_number_is_not_known], __doc__)
