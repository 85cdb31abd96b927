// Filling parameters into steps. The only way from what telemetry says to what a command gets.
#include <array>
#include <functional>

#include "grace/core/json_writer.h"
#include "grace/schedule/playbook.h"
#include "placeholders.h"

namespace grace::schedule {
namespace {

constexpr std::array<std::string_view, 6> kIncidentParameters{
    "service", "diagnosis", "root_cause", "domain", "incident_id", "run_id"};

constexpr bool is_name_start(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_name_part(char c) {
  return is_name_start(c) || (c >= '0' && c <= '9') || c == '_';
}

// Length of "{name}" at `at`, 0 when there is none: any other brace is itself.
std::size_t placeholder_length(std::string_view text, std::size_t at) {
  if (text[at] != '{' || at + 2 >= text.size() || !is_name_start(text[at + 1])) return 0;
  std::size_t end = at + 1;
  while (end < text.size() && is_name_part(text[end])) ++end;
  return end < text.size() && text[end] == '}' ? end + 1 - at : 0;
}

using Encode = std::string (*)(std::string_view);

std::string as_is(std::string_view value) {
  return std::string(value);
}

std::string json_inner(std::string_view value) {
  const std::string quoted = core::json_quoted(value);
  return quoted.substr(1, quoted.size() - 2);
}

// RFC 3986 section 2.1: all but unreserved characters.
std::string percent_encoded(std::string_view value) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : value) {
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                            (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out.push_back(c);
    } else {
      const auto code = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kHex[code >> 4]);
      out.push_back(kHex[code & 15]);
    }
  }
  return out;
}

std::string filled(std::string_view text, const Parameters& parameters, Encode encode) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = placeholder_length(text, i);
    if (length == 0) {
      out.push_back(text[i++]);
      continue;
    }
    // Validation has made sure that every placeholder is a declared parameter.
    const auto found = parameters.find(text.substr(i + 1, length - 2));
    if (found != parameters.end()) out += encode(found->second);
    i += length;
  }
  return out;
}

std::string quoted_short(std::string_view value) {
  constexpr std::size_t kShownBytes = 64;
  std::string shown = core::json_quoted(value.substr(0, kShownBytes));
  if (value.size() > kShownBytes) shown += "...";
  return shown;
}

}  // namespace

bool is_parameter_name(std::string_view name) {
  if (name.empty() || !is_name_start(name[0])) return false;
  for (const char c : name) {
    if (!is_name_part(c)) return false;
  }
  return true;
}

bool is_incident_parameter(std::string_view name) {
  for (const auto known : kIncidentParameters) {
    if (known == name) return true;
  }
  return false;
}

std::vector<std::string> placeholders_of(std::string_view text) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = placeholder_length(text, i);
    if (length > 0) names.emplace_back(text.substr(i + 1, length - 2));
    i += length > 0 ? length : 1;
  }
  return names;
}

core::Result<Parameters> resolve_parameters(const Playbook& playbook,
                                            const Parameters& from_incident) {
  Parameters values;
  for (const auto& parameter : playbook.parameters) {
    const auto given = from_incident.find(parameter.name);
    std::string value;
    if (given != from_incident.end() && is_incident_parameter(parameter.name)) {
      value = given->second;
    } else if (parameter.default_value) {
      value = *parameter.default_value;
    } else {
      return core::make_error(core::ErrorCode::kNotFound,
                              "parameter '" + parameter.name + "' has no value");
    }
    const auto pattern = Pattern::compile(parameter.pattern);
    if (!pattern) return tl::unexpected(pattern.error());
    // Whatever the pattern says, a value that begins with '-' could be read as an option.
    if (!pattern->matches(value) || value.starts_with('-')) {
      return core::make_error(core::ErrorCode::kInvalidArgument,
                              "parameter '" + parameter.name + "': " + quoted_short(value) +
                                  " does not match " + parameter.pattern);
    }
    values[parameter.name] = std::move(value);
  }
  return values;
}

core::StepCommand command_of(const ActionSpec& action, const Parameters& parameters,
                             std::string_view run_id, std::uint32_t step_index) {
  core::StepCommand command;
  command.run_id = std::string(run_id);
  command.step_index = step_index;
  command.kind = action.kind;
  command.timeout = action.timeout;
  if (action.kind == core::StepKind::kExec) {
    for (const auto& argument : action.argv) {
      command.argv.push_back(filled(argument, parameters, as_is));
    }
  } else if (action.kind == core::StepKind::kHttp) {
    command.url = filled(action.url, parameters, percent_encoded);
    command.method = action.method;
    command.body = filled(action.body, parameters, json_inner);
  }
  return command;
}

}  // namespace grace::schedule
