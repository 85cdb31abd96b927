// The commands that talk to a running engine over its control socket. Listing and showing runs
// also works on a ledger alone.
#include <iostream>
#include <memory>

#include "command.h"
#include "control_server.h"
#include "grace/core/json_writer.h"
#include "grace/parse/json_value.h"
#include "ledger_view.h"
#include "paths.h"

namespace grace::tools {
namespace {

struct ControlArguments {
  std::string socket;
  std::string ledger;
  std::string id;
  std::string reason;
  std::string verdict;
  std::string service;
  std::string diagnosis;
  std::string source;
  std::int64_t duration_s = 3600;
  bool json = false;
};
using ArgumentsPtr = std::shared_ptr<ControlArguments>;

// Sends the request; prints the answer as JSON, or gives it to `show`. Exit code of the command.
template <typename Show>
int ask(const ControlArguments& arguments, const std::string& request, Show&& show) {
  const std::string path =
      arguments.socket.empty() ? control_socket_of(arguments.ledger) : arguments.socket;
  const auto answer = control_request(path, request);
  if (!answer) {
    std::cerr << "grace: " << answer.error().message << '\n';
    return kExitNegative;
  }
  const auto parsed = parse::JsonValue::parse(*answer);
  if (!parsed || !(*parsed)["ok"].as_bool()) {
    std::cerr << "grace: "
              << (parsed ? std::string((*parsed)["error"].as_string()) : "unreadable answer")
              << '\n';
    return kExitNegative;
  }
  if (arguments.json) {
    std::cout << *answer << '\n';
  } else {
    show(*parsed);
  }
  return kExitOk;
}

void show_done(const parse::JsonValue& answer) {
  static_cast<void>(answer);
  std::cout << "done\n";
}

void show_run(const parse::JsonValue& run) {
  std::cout << run["run_id"].as_string() << "  " << run["status"].as_string() << "  "
            << run["playbook"].as_string() << " on " << run["service"].as_string() << "  "
            << run["proposed"].as_string() << "\n    " << run["reason"].as_string() << '\n';
}

void show_runs(const parse::JsonValue& answer) {
  for (const parse::JsonValue& run : answer["runs"].array()) show_run(run);
  if (answer["runs"].array().empty()) std::cout << "no runs\n";
}

void show_stats(const parse::JsonValue& answer) {
  const parse::JsonValue& engine = answer["engine"];
  std::cout << "mode        " << answer["mode"].as_string()
            << (answer["paused"].as_bool() ? " (paused)" : "") << ", event time "
            << answer["event_time"].as_string() << '\n'
            << "events      " << engine["received"].as_uint64()
            << " received = " << engine["accepted"].as_uint64() << " accepted + rejected "
            << engine["rejected"].to_json() << " + " << engine["dropped"].as_uint64()
            << " dropped\n"
            << "triggers    " << engine["triggers"].to_json() << '\n'
            << "incidents   " << engine["incidents"].as_uint64() << '\n'
            << "root causes " << answer["root_causes"].to_json() << '\n'
            << "runs        " << engine["runs"].to_json() << '\n'
            << "weights     " << answer["weights"].to_json() << '\n'
            << "thresholds  " << answer["thresholds"].to_json() << '\n'
            << "ledger      " << answer["durable_sequence"].as_uint64() << " records on disk";
  if (const auto signed_up_to = answer["signed_sequence"].as_uint64(); signed_up_to > 0) {
    std::cout << ", signed up to " << signed_up_to;
  }
  if (const auto error = answer["checkpoint_error"].as_string(); !error.empty()) {
    std::cout << "; no checkpoint: " << error;
  }
  if (const auto error = answer["ledger_error"].as_string(); !error.empty()) {
    std::cout << "; " << error;
  }
  if (const auto error = answer["redaction_error"].as_string(); !error.empty()) {
    std::cout << "; redacted values lost: " << error;
  }
  const auto removed = answer["ledger_segments_removed"].as_uint64();
  const auto compressed = answer["ledger_segments_compressed"].as_uint64();
  if (removed + compressed > 0) {
    std::cout << "; " << removed << " segments removed, " << compressed << " compressed";
  }
  if (const auto error = answer["ledger_keeping_error"].as_string(); !error.empty()) {
    std::cout << "; its segments: " << error;
  }
  std::cout << '\n';
  const parse::JsonValue journal = answer["journal"];
  if (journal["recorded_sequence"].as_uint64() == 0) return;
  std::cout << "journal     " << journal["recorded_sequence"].as_uint64()
            << " records, hashed up to " << journal["hashed_sequence"].as_uint64() << ", "
            << journal["unhashed_records"].as_uint64() << " not hashed yet";
  if (const auto error = journal["hash_error"].as_string(); !error.empty()) {
    std::cout << "; hashing stands still: " << error;
  }
  std::cout << '\n';
}

void show_silences(const parse::JsonValue& answer) {
  for (const parse::JsonValue& silence : answer["silences"].array()) {
    std::cout << silence["id"].as_string() << "  service " << silence["service"].as_string()
              << "  until " << silence["end"].as_string() << "  by "
              << silence["created_by"].as_string() << "  " << silence["reason"].as_string() << '\n';
  }
  if (answer["silences"].array().empty()) std::cout << "no silences\n";
}

std::string control_json(std::string_view control, const ControlArguments& arguments) {
  std::string out;
  core::JsonWriter json(out);
  json.begin_object()
      .field("op", "control")
      .field("control", control)
      .field("reason", arguments.reason);
  if (control == "approve" || control == "reject") json.field("run_id", arguments.id);
  if (control == "feedback") {
    json.field("trigger_id", arguments.id).field("right", arguments.verdict == "right");
  }
  if (control == "ack") json.field("what", arguments.id);
  if (control == "undo") json.field("name", arguments.id);
  if (control == "silence") {
    json.field("id", arguments.id)
        .field("service", arguments.service)
        .field("diagnosis_code", arguments.diagnosis)
        .field("source", arguments.source)
        .field("duration_s", arguments.duration_s)
        .field("expire", arguments.service.empty() && arguments.diagnosis.empty() &&
                             arguments.source.empty());
  }
  json.end_object();
  return out;
}

// A subcommand with the options that all of them have.
Command* add_command(Command& parent, const std::string& name, const std::string& help,
                     const std::string& example, const ArgumentsPtr& arguments) {
  Command* command = parent.add_subcommand(name, help);
  command->footer("Example: grace " + example);
  command->add_option("--socket", arguments->socket, "The engine's control socket");
  command->add_option("--ledger", arguments->ledger,
                      "The engine's ledger directory (default grace-data/ledger)");
  command->add_flag("--json", arguments->json, "Print one JSON object");
  return command;
}

// A command that sends one control.
Command* add_sender(Command& parent, const std::string& name, const std::string& help,
                    const std::string& example, const std::string& control, int& exit_code,
                    const ArgumentsPtr& arguments) {
  Command* command = add_command(parent, name, help, example, arguments);
  command->add_option("--reason", arguments->reason, "Why; kept in the ledger");
  command->callback([arguments, control, &exit_code] {
    exit_code = ask(*arguments, control_json(control, *arguments),
                    control == "approve" || control == "reject" ? show_runs : show_done);
  });
  return command;
}

void add_runs(Command& app, int& exit_code) {
  Command* runs = app.add_subcommand("runs", "Playbook runs: list, show, approve, reject");
  runs->require_subcommand();
  auto list = std::make_shared<ControlArguments>();
  add_command(*runs, "list", "List runs; without an engine, from the ledger",
              "runs list --ledger /var/lib/grace", list)
      ->callback([list, &exit_code] {
        const bool offline = list->socket.empty() && !engine_answers(list->ledger);
        exit_code = offline ? print_runs_of_ledger(list->ledger, "", list->json)
                            : ask(*list, R"({"op":"runs"})", show_runs);
      });
  auto show = std::make_shared<ControlArguments>();
  Command* show_app =
      add_command(*runs, "show", "Show one run", "runs show run_0123456789abcdef", show);
  show_app->add_option("id", show->id, "The run's id")->required();
  show_app->callback([show, &exit_code] {
    const bool offline = show->socket.empty() && !engine_answers(show->ledger);
    std::string request;
    core::JsonWriter(request).begin_object().field("op", "run").field("id", show->id).end_object();
    exit_code = offline ? print_runs_of_ledger(show->ledger, show->id, show->json)
                        : ask(*show, request, show_runs);
  });
  for (const std::string verb : {"approve", "reject"}) {
    auto arguments = std::make_shared<ControlArguments>();
    Command* command =
        add_sender(*runs, verb, verb == "approve" ? "Let a waiting run execute" : "Turn a run down",
                   "runs " + verb + " run_0123456789abcdef --reason 'checked the flag'", verb,
                   exit_code, arguments);
    command->add_option("id", arguments->id, "The run's id")->required();
  }
}

void add_silences(Command& app, int& exit_code) {
  Command* silence = app.add_subcommand("silence", "Silences: add, list, expire");
  silence->require_subcommand();
  auto add = std::make_shared<ControlArguments>();
  Command* add_app =
      add_sender(*silence, "add", "Record matching triggers, but do not act on them",
                 "silence add --service auth_service --duration 7200 --reason migration", "silence",
                 exit_code, add);
  add_app->add_option("--service", add->service, "Only this service");
  add_app->add_option("--diagnosis", add->diagnosis, "Only this diagnosis code");
  add_app->add_option("--trigger-source", add->source, "Only this subsystem, e.g. proactive_ml");
  add_app->add_option("--duration", add->duration_s, "Seconds")->range(1, 31'536'000);
  add_app->callback([add, &exit_code] {
    if (add->service.empty() && add->diagnosis.empty() && add->source.empty()) {
      std::cerr << "grace silence add: name --service, --diagnosis or --trigger-source\n";
      exit_code = kExitUsage;
      return;
    }
    exit_code = ask(*add, control_json("silence", *add), show_done);
  });
  auto list = std::make_shared<ControlArguments>();
  add_command(*silence, "list", "List silences that are not over", "silence list", list)
      ->callback(
          [list, &exit_code] { exit_code = ask(*list, R"({"op":"silences"})", show_silences); });
  auto expire = std::make_shared<ControlArguments>();
  Command* expire_app =
      add_sender(*silence, "expire", "End a silence now", "silence expire silence_0123456789abcdef",
                 "silence", exit_code, expire);
  expire_app->add_option("id", expire->id, "The silence's id")->required();
}

}  // namespace

void add_control_commands(Command& app, int& exit_code) {
  add_runs(app, exit_code);
  add_silences(app, exit_code);
  auto stats = std::make_shared<ControlArguments>();
  add_command(app, "stats", "What the running engine has seen, found and learned", "stats --json",
              stats)
      ->callback([stats, &exit_code] { exit_code = ask(*stats, R"({"op":"stats"})", show_stats); });
  add_sender(app, "pause", "The red button: nothing new starts until resume",
             "pause --reason 'deploy in progress'", "pause", exit_code,
             std::make_shared<ControlArguments>());
  add_sender(app, "resume", "Let runs start again", "resume --reason 'deploy done'", "resume",
             exit_code, std::make_shared<ControlArguments>());
  auto feedback = std::make_shared<ControlArguments>();
  Command* feedback_app =
      add_sender(app, "feedback", "Tell whether a trigger was right",
                 "feedback ml_forecast_0123456789abcdef wrong --reason 'known batch job'",
                 "feedback", exit_code, feedback);
  feedback_app->add_option("id", feedback->id, "The trigger's id")->required();
  feedback_app->add_option("verdict", feedback->verdict, "right or wrong")
      ->required()
      ->one_of({"right", "wrong"});
  auto ack = std::make_shared<ControlArguments>();
  Command* ack_app = add_sender(app, "ack", "Close a tripped breaker",
                                "ack playbook:restart_service", "ack", exit_code, ack);
  ack_app->add_option("breaker", ack->id, "Its name; * for all")->required();
  auto undo = std::make_shared<ControlArguments>();
  Command* undo_app = add_sender(app, "undo", "Put a threshold back that the meta loop moved",
                                 "undo capacity.shortfall_min", "undo", exit_code, undo);
  undo_app->add_option("name", undo->id, "The threshold's name")->required();
}

}  // namespace grace::tools
