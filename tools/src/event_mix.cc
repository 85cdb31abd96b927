#include "event_mix.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

namespace grace::tools {
namespace {

// Finite and not negative: from_chars knows "inf" and "nan".
std::optional<double> share_of(std::string_view text) {
  double share = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), share);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  if (!whole || !std::isfinite(share) || share < 0.0) return std::nullopt;
  return share;
}

std::optional<EventShares> shares_of(std::string_view text) {
  std::array<double, 3> shares{};
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const std::size_t colon = text.find(':');
    if ((colon == std::string_view::npos) != (i + 1 == shares.size())) return std::nullopt;
    const auto share = share_of(text.substr(0, colon));
    if (!share) return std::nullopt;
    shares[i] = *share;
    text.remove_prefix(colon == std::string_view::npos ? text.size() : colon + 1);
  }
  const double all = shares[0] + shares[1] + shares[2];
  if (!(all > 0.0) || !std::isfinite(all)) return std::nullopt;
  return EventShares{shares[0], shares[1], shares[2]};
}

}  // namespace

core::Result<void> set_event_mix(const std::string& text, GeneratorOptions& options) {
  if (text == "mixed" || text == "realistic") {
    options.profile = text;
    options.shares.reset();
    return {};
  }
  if (text == "metrics") {
    options.shares = {.metrics = 1.0};
  } else if (text == "actions") {
    options.shares = {.actions = 1.0};
  } else if (text == "errors") {
    options.shares = {.errors = 1.0};
  } else if (const auto shares = shares_of(text)) {
    options.shares = *shares;
  } else {
    return core::make_error(core::ErrorCode::kInvalidArgument,
                            "'" + text +
                                "' is not mixed, realistic, metrics, actions, errors, or shares "
                                "M:A:E of metrics, actions and errors");
  }
  return {};
}

}  // namespace grace::tools
