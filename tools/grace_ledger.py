"""Logs to the ledger of a running `grace run`, over its control socket. Standard library only.

    from grace_ledger import connect, get_subsystem_logger, immutable_log, subsystem_registry

    connect("/var/lib/grace/control.sock")           # once; or GRACE_CONTROL_SOCKET, or the default
    immutable_log.append(actor="proactive_ml", action="intelligent_trigger",
                         resource="api_service", subsystem="intelligent_triggers",
                         payload={"likelihood": 0.87}, result="emitted")
    logger = get_subsystem_logger("my_subsystem")
    logger.log_decision(actor="policy_engine", decision_type="approval",
                        resource="deployment_456", decision="approved",
                        reasoning=["low risk"], confidence=0.92)
    subsystem_registry.get_subsystem_stats()

Every logging call returns a Receipt: the record's sequence (0 where the engine cannot know it yet:
with retention), and how safe it is (D0 in the writer's ring, D1 survives the end of the engine, D2
survives the loss of power). It waits for D2 unless
asked otherwise; a receipt that is not as safe as asked says timed_out. In an async program run the
calls in a thread: `await asyncio.to_thread(logger.log_action, ...)`.

Any thread may call; one call at a time is on the socket. The engine refuses what is wrong with a
sentence: LedgerError. Nobody answers, or the connection breaks: OSError; the entry may or may not
have been recorded then.
"""
import json
import os
import socket
import threading
from typing import NamedTuple

DEFAULT_SOCKET = "grace-data/ledger/control.sock"
ANSWER_SECONDS = 15  # the engine answers within 2 s plus at most 5 s that a caller asked for


class LedgerError(Exception):
    """The engine's refusal, as a sentence."""


class Receipt(NamedTuple):
    sequence: int
    durability: str  # "D0", "D1" or "D2"
    timed_out: bool  # not as safe yet as asked


class Client:
    """One connection, made on first use and anew after it broke."""

    def __init__(self, path=None, durability="D2", timeout_ms=2000):
        self.path = path or os.environ.get("GRACE_CONTROL_SOCKET", DEFAULT_SOCKET)
        self.durability = durability
        self.timeout_ms = timeout_ms
        self._connection = None
        self._lock = threading.Lock()

    def ask(self, request):
        """Sends a request; gives the answer. LedgerError where it says no."""
        line = json.dumps(request, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        with self._lock:
            fresh = self._connection is None
            try:
                answer = self._exchange(line)
            except (BrokenPipeError, ConnectionResetError):
                # An engine that restarted, or that closed a silent connection, has not read it.
                self._hang_up()
                if fresh:
                    raise
                answer = self._exchange(line)
            except BaseException:
                self._hang_up()
                raise
        if not answer.get("ok"):
            raise LedgerError(answer.get("error", "refused"))
        return answer

    def log(self, kind, subsystem, **fields):
        answer = self.ask({"op": "log", "kind": kind, "subsystem": subsystem,
                           "durability": self.durability, "timeout_ms": self.timeout_ms,
                           **{name: value for name, value in fields.items() if value is not None}})
        return Receipt(answer["sequence"], answer["durability"], answer["timed_out"])

    def close(self):
        with self._lock:
            self._hang_up()

    def _exchange(self, line):
        if self._connection is None:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(self.path)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        self._connection.sendall(line)
        answer = b""
        while not answer.endswith(b"\n"):
            part = self._connection.recv(65536)
            if not part:
                # Read or not: that cannot be known, so it is not sent again.
                raise ConnectionError(f"the engine on {self.path} hung up")
            answer += part
        return json.loads(answer)

    def _hang_up(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SubsystemLogger:
    """A subsystem's way to the ledger: SubsystemLogger of grace/ledger/subsystem_logger.h."""

    def __init__(self, name, client=None):
        self.name = name
        self._client = client

    def _log(self, kind, **fields):
        return (self._client or _client).log(kind, self.name, **fields)

    def log_action(self, actor, action, resource, result="success", payload=None):
        return self._log("action", actor=actor, action=action, resource=resource, result=result,
                         payload=payload)

    def log_error(self, actor, action, resource, error):
        """`error`: an exception, or a text."""
        kind = type(error).__name__ if isinstance(error, BaseException) else None
        return self._log("error", actor=actor, action=action, resource=resource,
                         error=str(error) or kind or "unknown", error_type=kind)

    def log_decision(self, actor, decision_type, resource, decision, reasoning=(), confidence=1.0):
        return self._log("decision", actor=actor, decision_type=decision_type, resource=resource,
                         decision=decision, reasoning=list(reasoning), confidence=confidence)

    def log_prediction(self, actor, prediction_type, resource, predicted_value, confidence,
                       current_value=None):
        return self._log("prediction", actor=actor, prediction_type=prediction_type,
                         resource=resource, predicted_value=predicted_value,
                         confidence=confidence, current_value=current_value)

    def log_start(self, actor="system"):
        return self._log("start", actor=actor)

    def log_stop(self, actor="system"):
        return self._log("stop", actor=actor)


class ImmutableLog:
    """The log itself, for entries of any subsystem."""

    def append(self, actor, action, resource, subsystem, payload=None, result="success"):
        return _client.log("action", subsystem, actor=actor, action=action, resource=resource,
                           result=result, payload=payload)


class SubsystemRegistry:
    def get_subsystem_stats(self):
        """By subsystem, since the engine started; its own subsystems are among them."""
        return _client.ask({"op": "subsystems"})["subsystems"]


_client = Client()
immutable_log = ImmutableLog()
subsystem_registry = SubsystemRegistry()


def connect(path, durability="D2", timeout_ms=2000):
    """Which engine this module's functions log to, and how safe a record must be."""
    global _client
    _client.close()
    _client = Client(path, durability, timeout_ms)
    return _client


def get_subsystem_logger(name):
    return SubsystemLogger(name)
