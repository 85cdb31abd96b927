#include "realistic_lines.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace grace::tools {
namespace {

// Pieces of log messages as JSON writes them: each whole, so that a text can end after any of them.
constexpr std::array<std::string_view, 20> kPieces{
    "request ", "took ",         "longer ",         "than ",           "expected ",
    "retry ",   "upstream ",     "timeout ",        "\\\"quoted\\\" ", "C:\\\\srv\\\\app ",
    "\\n",      "\\tat run(",    "Main.java:214)",  "\\/v1\\/items ",  "caf\\u00e9 ",
    "\xC3\xBC", "\xE2\x86\x92 ", "\\ud83d\\ude80 ", "user=42 ",        "ok "};
constexpr std::array<std::string_view, 5> kMethods{"GET", "POST", "PUT", "DELETE", "PATCH"};
constexpr std::array<std::string_view, 4> kPaths{"\\/v1\\/orders?id=7", "/health",
                                                 "/api/v2/users/me", "/search?q=caf%C3%A9"};

// The end of the value that begins at `at`: the comma or brace behind it.
std::size_t value_end(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (bool in_string = false; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (depth == 0 && (c == ',' || c == '}')) {
      break;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return at;
}

// Members of an object that is written without blanks and whose keys have no escapes.
std::vector<std::pair<std::string_view, std::string>> members_of(std::string_view object) {
  std::vector<std::pair<std::string_view, std::string>> members;
  for (std::size_t at = 1; at < object.size() && object[at] == '"';) {
    const std::size_t key_end = object.find('"', at + 1);
    const std::size_t end = value_end(object, key_end + 2);
    members.emplace_back(object.substr(at + 1, key_end - at - 1),
                         object.substr(key_end + 2, end - key_end - 2));
    at = end + 1;
  }
  return members;
}

std::string written(const std::vector<std::pair<std::string_view, std::string>>& members) {
  std::string out = "{";
  for (const auto& [key, value] : members) {
    if (out.size() > 1) out += ',';
    out += '"';
    out += key;
    out += "\":";
    out += value;
  }
  return out + '}';
}

}  // namespace

void RealisticLines::shuffle(std::vector<Member>& members) {
  for (std::size_t i = members.size(); i > 1; --i) {
    std::swap(members[i - 1], members[random_.below(i)]);
  }
}

std::string RealisticLines::message(std::size_t bytes) {
  std::string text;
  for (;;) {
    const std::string_view piece = kPieces[random_.below(kPieces.size())];
    if (text.size() + piece.size() > bytes) break;
    text += piece;
  }
  return text.append(bytes - text.size(), '.');
}

// One member, as programs add them.
std::string RealisticLines::nested() {
  const auto number = [&](std::uint64_t bound) { return std::to_string(random_.below(bound)); };
  switch (random_.below(5)) {
    case 0:
      return R"("request":{"method":")" + std::string(kMethods[random_.below(kMethods.size())]) +
             R"(","path":")" + std::string(kPaths[random_.below(kPaths.size())]) +
             R"(","headers":{"accept":"*/*","x-hop":[)" + number(9) + ',' + number(9) +
             R"(]},"bytes":)" + number(100'000) + '}';
    case 1:
      return R"("user":{"id":)" + number(1'000'000) + R"(,"roles":["reader","writer"],"geo":)" +
             R"({"lat":)" + number(90) + '.' + number(1000) + R"(,"lon":-)" + number(180) +
             R"(.25},"vip":)" + (random_.chance(0.1) ? "true" : "false") + '}';
    case 2:
      return R"("k8s":{"pod":"worker-)" + number(500) +
             R"(","namespace":"prod","node":{"name":"node-)" + number(40) + R"(","taints":[]}})";
    case 3: {
      std::string spans = R"("spans":[)";
      for (std::uint64_t i = 1 + random_.below(4); i > 0; --i) {
        spans += R"({"op":"db.query","us":)" + number(90'000) + R"(,"error":null})";
        spans += i > 1 ? "," : "]";
      }
      return spans;
    }
    default:
      return R"("ratio":)" + number(10) + '.' + number(1'000'000) + R"(e-)" + number(6);
  }
}

// An object of exactly `bytes` bytes, 40 or more: about half of it nested, the rest text.
std::string RealisticLines::context(std::size_t bytes) {
  constexpr std::string_view kSteps = R"("steps":[)";
  constexpr std::string_view kMessage = R"("message":")";
  std::string out = "{";
  out += kSteps;
  const std::size_t around = kMessage.size() + std::string_view(R"(],"})").size();
  for (bool first = true; out.size() < bytes / 2; first = false) {
    const std::string step = (first ? "{" : ",{") + nested() + '}';
    if (out.size() + step.size() + around > bytes) break;
    out += step;
  }
  out += "],";
  out += kMessage;
  return out + message(bytes - out.size() - 2) + "\"}";
}

void RealisticLines::dress(std::string& line) {
  std::vector<Member> members = members_of(line);
  const std::size_t octave = kLineBytesMin << random_.below(4);
  const std::size_t bytes = octave + random_.below(std::min(octave, kLineBytesMax + 1 - octave));
  constexpr std::string_view kAround = R"(,"context":)";
  std::string context_text;
  if (line.size() + kAround.size() + 40 <= bytes) {
    context_text = context(bytes - line.size() - kAround.size());
  } else if (line.size() + kAround.size() + 40 <= kLineBytesMin + 100) {
    context_text = context(40);
  }
  bool in_payload = false;
  for (Member& member : members) {
    if (member.first != "labels" && member.first != "payload") continue;
    std::vector<Member> inner = members_of(member.second);
    if (member.first == "payload" && !context_text.empty()) {
      inner.emplace_back("context", context_text);
      in_payload = true;
    }
    shuffle(inner);
    std::string text = written(inner);  // of views into the old text
    member.second = std::move(text);
  }
  if (!in_payload && !context_text.empty()) members.emplace_back("context", context_text);
  shuffle(members);
  line = written(members) + '\n';
}

}  // namespace grace::tools
