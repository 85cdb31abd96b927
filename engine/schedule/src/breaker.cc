#include "breaker.h"

#include <algorithm>

#include "grace/core/time.h"

namespace grace::schedule {
namespace {

constexpr std::string_view kAttempts = "attempts";
constexpr std::string_view kFleet = "fleet";
std::string name_of(std::string_view playbook) {
  return "playbook:" + std::string(playbook);
}

}  // namespace

std::optional<BreakerBoard::Trip> BreakerBoard::trip(std::string breaker, std::string reason) {
  if (!open_.insert(breaker).second) return std::nullopt;  // open already: nothing new to say
  return Trip{std::move(breaker), std::move(reason)};
}

std::vector<BreakerBoard::Trip> BreakerBoard::before_start(std::int64_t now_ns,
                                                           std::size_t services,
                                                           std::size_t fleet) {
  std::vector<Trip> trips;
  while (!starts_.empty() && starts_.front() + core::kNsPerHour <= now_ns) starts_.pop_front();
  if (config_.attempts_per_hour_max > 0 && starts_.size() >= config_.attempts_per_hour_max) {
    auto tripped = trip(std::string(kAttempts),
                        std::to_string(starts_.size()) + " runs started within an hour");
    if (tripped) trips.push_back(std::move(*tripped));
  }
  const auto share =
      static_cast<std::size_t>(config_.fleet_fraction_max * static_cast<double>(fleet));
  const std::size_t services_max = std::max<std::size_t>(share, config_.fleet_services_min);
  if (config_.fleet_fraction_max < 1.0 && services > services_max) {
    auto tripped =
        trip(std::string(kFleet), std::to_string(services) + " of " + std::to_string(fleet) +
                                      " services would be in remediation, at most " +
                                      std::to_string(services_max));
    if (tripped) trips.push_back(std::move(*tripped));
  }
  return trips;
}

void BreakerBoard::note_start(std::int64_t now_ns) {
  if (config_.attempts_per_hour_max == 0) return;
  starts_.push_back(now_ns);
  while (starts_.size() > config_.attempts_per_hour_max) starts_.pop_front();
}

std::optional<BreakerBoard::Trip> BreakerBoard::note_failure(std::string_view playbook) {
  const std::uint32_t failures = ++failures_in_a_row_[std::string(playbook)];
  if (config_.consecutive_failures_max == 0 || failures < config_.consecutive_failures_max) {
    return std::nullopt;
  }
  return trip(name_of(playbook), std::to_string(failures) + " failures in a row");
}

void BreakerBoard::note_success(std::string_view playbook) {
  const auto found = failures_in_a_row_.find(playbook);
  if (found != failures_in_a_row_.end()) failures_in_a_row_.erase(found);
}

std::vector<std::string> BreakerBoard::open_for(std::string_view playbook) const {
  std::vector<std::string> names;
  for (const auto& breaker : open_) {
    if (breaker == kAttempts || breaker == kFleet || breaker == name_of(playbook)) {
      names.push_back(breaker);
    }
  }
  return names;
}

std::vector<std::string> BreakerBoard::acknowledge(std::string_view breaker) {
  std::vector<std::string> closed;
  for (const auto& name : open_) {
    if (breaker.empty() || breaker == "*" || breaker == name) closed.push_back(name);
  }
  for (const auto& name : closed) {
    open_.erase(name);
    if (name == kAttempts) starts_.clear();
    for (auto it = failures_in_a_row_.begin(); it != failures_in_a_row_.end();) {
      it = name == name_of(it->first) ? failures_in_a_row_.erase(it) : std::next(it);
    }
  }
  return closed;
}

}  // namespace grace::schedule
