// Are the ledger's lock-free parts right under the C++ memory model, not only on the processor at
// hand? Runs ByteRing, HandOff and Watermarks, the production source, under Relacy Race Detector:
// it decides at each operation which thread goes on, and which of the values that the orders allow
// a load gives, and finds races, lost wake-ups, deadlocks, leaks and broken promises.
//
//   ledger_relacy --count 1000000      random executions of each model, a few minutes
//     --seed S        others, S from 1 to 256; the same count and seed give the same executions
//     --bounded       also every execution of the small models, and every one with few switches of
//                     the larger
//     --model NAME    only this one; of one that must fail, too, the failure is told
//     --mutants       instead: each acquire, release and notification of the three sources taken
//                     away in turn, and the locks; a model must notice
// A failure is told operation by operation.
#include <cstdio>
#include <fstream>
#include <regex>
#include <vector>

#include "campaign.h"
#include "relacy_models.h"

// Relacy counts allocations with inline operators of its own, but for these. Without them memory
// that Relacy gave would be returned to malloc.
void operator delete(void* memory, std::size_t) noexcept {
  ::operator delete(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  ::operator delete[](memory);
}

namespace grace::ledger::internal {
namespace {

// So that its operators exist for the standard library's object code, too.
[[gnu::used]] void* (*const kNew)(std::size_t) = &::operator new;
[[gnu::used]] void* (*const kNewArray)(std::size_t) = &::operator new[];
[[gnu::used]] void (*const kDelete)(void*) = &::operator delete;
[[gnu::used]] void (*const kDeleteArray)(void*) = &::operator delete[];

constexpr const char* kSources[] = {"byte_ring.h", "hand_off.h", "watermarks.h"};

std::vector<Model> all_models() {
  std::vector<Model> all;
  for (const auto models : {ring_models(), hand_off_models(), watermark_models()}) {
    all.insert(all.end(), models.begin(), models.end());
  }
  return all;
}

std::string_view file_name(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

// Waiting for ever in a busy loop is no proof of anything: an unlucky execution may do it, too.
bool is_found(const Outcome& outcome) {
  return !outcome.is_success() && outcome.result != rl::test_result_livelock;
}

void tell(const Model& model, const char* search, const Outcome& outcome) {
  std::printf("  %-28s %-14s %9llu executions  %s\n", model.name, search,
              static_cast<unsigned long long>(outcome.executions),
              rl::test_result_str(outcome.result));
  std::fflush(stdout);
}

class Run {
 public:
  explicit Run(Campaign& campaign) : campaign_(campaign) {}

  // Each model keeps what it promises.
  std::uint64_t models(const std::string& only, bool bounded) {
    std::uint64_t done = 0;
    for (const Model& model : all_models()) {
      if (!only.empty() && only != model.name) continue;
      Search search = random_search();
      search.tells_history = true;
      done += check(model, "random", search);
      if (!bounded || model.must_fail) continue;
      if (model.all_executions)
        done += check(model, "all", {.scheduler = rl::sched_full, .tells_history = true});
      if (model.switches_max > 0) {
        const std::string name = std::to_string(model.switches_max) + " switches";
        done += check(model, name.c_str(),
                      {.scheduler = rl::sched_bound,
                       .switches_max = model.switches_max,
                       .tells_history = true});
      }
    }
    return done;
  }

  // A model notices whatever of the sources' orders, notifications and locks is taken away.
  std::uint64_t mutants() {
    std::uint64_t found = 0;
    for (const Site& site : sites_to_break()) {
      sites.break_site(&site);
      const std::string finder = find();
      sites.break_site(nullptr);
      std::string name(file_name(site.file));
      if (site.line != kAllLocks) name += ":" + std::to_string(site.line);
      std::printf("  without the %-8s %-20s %s\n", site.what, name.c_str(),
                  finder.empty() ? "NOT NOTICED" : finder.c_str());
      std::fflush(stdout);
      if (finder.empty()) campaign_.fail(name, "no model notices that it is gone");
      found += finder.empty() ? 0 : 1;
    }
    return found;
  }

 private:
  std::uint64_t check(const Model& model, const char* name, const Search& search) {
    const Outcome outcome = model.run(search);
    tell(model, name, outcome);
    if (model.must_fail && campaign_.has("--model")) std::puts(outcome.history.c_str());
    const bool right = model.must_fail ? is_found(outcome) : outcome.is_success();
    if (!right) {
      campaign_.fail(model.name,
                     std::string(rl::test_result_str(outcome.result)) + "\n" + outcome.history);
    }
    return outcome.executions;
  }

  [[nodiscard]] Search random_search() const {
    return {.count = campaign_.count(), .seed = campaign_.seed()};
  }

  // What the models reach, and that they reach all there is.
  std::vector<Site> sites_to_break() {
    sites.record(true);
    for (const Model& model : all_models()) {
      if (!model.must_fail) (void)model.run({.count = 200});
    }
    sites.record(false);
    std::vector<Site> all;
    for (const Site& site : sites.reached()) {
      // The models have some of their own.
      for (const char* source : kSources) {
        if (file_name(site.file) == source) all.push_back(site);
      }
    }
    for (const char* source : kSources) expect_reached(source, all);
    all.push_back({"hand_off.h", kAllLocks, "locks"});
    return all;
  }

  void expect_reached(const std::string& source, const std::vector<Site>& reached) {
    std::ifstream file(std::string(GRACE_SOURCE_DIR "/ledger/src/") + source);
    const std::regex orders("memory_order_(acquire|release|acq_rel|seq_cst)|notify_(one|all)\\(");
    std::string text;
    std::uint32_t number = 0;
    std::size_t there = 0;
    while (std::getline(file, text)) {
      ++number;
      if (!std::regex_search(text.substr(0, text.find("//")), orders)) continue;
      ++there;
      bool is_reached = false;
      for (const Site& site : reached) {
        is_reached = is_reached || (site.line == number && file_name(site.file) == source);
      }
      if (!is_reached) {
        campaign_.fail(source + ":" + std::to_string(number), "orders threads in no model");
      }
    }
    if (there == 0) campaign_.fail(source, "nothing found that orders threads");
  }

  // Which model notices the mutant, and how; empty if none does.
  std::string find() {
    for (const Model& model : all_models()) {
      if (model.must_fail) continue;
      const Outcome outcome = model.run(random_search());
      if (!is_found(outcome)) continue;
      return std::string(model.name) + ": " + rl::test_result_str(outcome.result) +
             " in execution " + std::to_string(outcome.executions);
    }
    return {};
  }

  Campaign& campaign_;
};

}  // namespace
}  // namespace grace::ledger::internal

int main(int argc, char** argv) {
  using namespace grace::ledger;
  Campaign campaign("ledger_relacy", argc, argv, 20'000);
  const std::string only = campaign.value_of("--model");
  if (!campaign.knows_only({"--bounded", "--mutants", "--model", only})) return 2;
  if (campaign.seed() < 1 || campaign.seed() > internal::kSeedsMax || campaign.count() == 0) {
    std::fprintf(stderr, "ledger_relacy: a seed from 1 to 256, and a count of 1 at least\n");
    return 2;
  }
  internal::Run run(campaign);
  if (campaign.has("--mutants")) return campaign.finish(run.mutants(), "mutants noticed");
  return campaign.finish(run.models(only, campaign.has("--bounded")), "executions");
}
