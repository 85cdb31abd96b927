#include "grace/schedule/playbook.h"

#include <gtest/gtest.h>

#include "schedule_fixture.h"

namespace grace::schedule {
namespace {

const PlaybookLimits kLimits{{"/usr/bin/act", "/bin/sh", "/usr/bin/python3"}, {}};

std::string error_of(Playbook playbook) {
  const auto set = PlaybookSet::build({std::move(playbook)}, kLimits);
  return set.has_value() ? std::string("valid") : set.error().message;
}

Playbook good() {
  return playbook_of("scale", {"/usr/bin/act", "--service={service}"});
}

TEST(PlaybookSet, HasTheBuiltInCatalogue) {
  const auto set = PlaybookSet::build({good()}, kLimits);
  ASSERT_TRUE(set.has_value()) << set.error().message;
  for (const auto& name : builtin_actions()) {
    ASSERT_NE(set->find(name), nullptr) << name;
    EXPECT_TRUE(set->find(name)->diagnostic) << name;
  }
  EXPECT_NE(set->find("scale"), nullptr);
  EXPECT_EQ(set->find("warm_cache"), nullptr);
}

TEST(PlaybookSet, NamesFileLineAndFieldOfAnUnknownStep) {
  Playbook playbook = good();
  playbook.steps[0].action.kind = core::StepKind::kBuiltin;
  playbook.steps[0].action.builtin = "reboot_universe";
  playbook.steps[0].action.place = {"grace.toml", 41};
  EXPECT_EQ(error_of(playbook),
            "grace.toml:41: playbook 'scale': field step.builtin: unknown step 'reboot_universe'");
}

TEST(PlaybookSet, NamesFileAndLineOfAnUnknownPlaybook) {
  const auto set = PlaybookSet::build({good()}, kLimits);
  const auto known = set->require("scale", {"grace.toml", 3}, "policy.playbook");
  EXPECT_TRUE(known.has_value());
  const auto unknown = set->require("scael", {"grace.toml", 12}, "policy.playbook");
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().code, core::ErrorCode::kConfig);
  EXPECT_EQ(unknown.error().message,
            "grace.toml:12: field policy.playbook: unknown playbook 'scael'");
}

TEST(PlaybookSet, RefusesTheSameNameTwice) {
  const auto set = PlaybookSet::build({good(), good()}, kLimits);
  ASSERT_FALSE(set.has_value());
  EXPECT_NE(set.error().message.find("already defined at grace.toml:5"), std::string::npos);
}

TEST(PlaybookSet, AllowsOnlyListedPlainAbsolutePrograms) {
  EXPECT_EQ(error_of(good()), "valid");
  for (const char* program :
       {"act", "./act", "/usr/bin/../bin/act", "/usr/bin/other", "", "/usr/bin/{service}"}) {
    Playbook playbook = good();
    playbook.steps[0].action.argv[0] = program;
    EXPECT_NE(error_of(playbook), "valid") << program;
  }
}

TEST(PlaybookSet, RefusesShellsEvenWhenListed) {
  Playbook playbook = good();
  playbook.steps[0].action.argv = {"/bin/sh", "-c", "true"};
  EXPECT_NE(error_of(playbook).find("runs other programs"), std::string::npos);
}

TEST(PlaybookSet, RefusesParametersThatWouldBecomeCode) {
  Playbook playbook = good();
  playbook.steps[0].action.argv = {"/usr/bin/python3", "-c", "print('{service}')"};
  EXPECT_NE(error_of(playbook).find("would become code"), std::string::npos);
}

TEST(PlaybookSet, RefusesUnknownParametersInEveryText) {
  Playbook playbook = good();
  playbook.steps[0].action.argv.push_back("{count}");
  EXPECT_NE(error_of(playbook).find("unknown parameter {count}"), std::string::npos);
  playbook = good();
  playbook.steps[0].rollback = exec_of({"/usr/bin/act", "{count}"});
  EXPECT_NE(error_of(playbook).find("rollback.exec: unknown parameter {count}"), std::string::npos);
}

TEST(PlaybookSet, RequiresDefaultsThatMatch) {
  Playbook playbook = good();
  ParameterSpec count;
  count.name = "count";
  count.pattern = "[1-9]";
  count.place = {"grace.toml", 9};
  playbook.parameters.push_back(count);
  EXPECT_EQ(error_of(playbook).rfind("grace.toml:9: ", 0), 0u);
  playbook.parameters.back().default_value = "10";
  EXPECT_NE(error_of(playbook).find("does not match"), std::string::npos);
  playbook.parameters.back().default_value = "2";
  EXPECT_EQ(error_of(playbook), "valid");
}

TEST(PlaybookSet, RequiresVerificationOfWhatChangesTheWorld) {
  Playbook playbook = good();
  playbook.verification.reset();
  EXPECT_NE(error_of(playbook).find("success is never assumed"), std::string::npos);
}

TEST(PlaybookSet, RequiresDiagnosticsToBeBuiltIn) {
  Playbook playbook = good();
  playbook.diagnostic = true;
  EXPECT_NE(error_of(playbook).find("field diagnostic"), std::string::npos);
}

TEST(PlaybookSet, ChecksVerificationBounds) {
  Playbook playbook = good();
  playbook.verification->hold = playbook.verification->within;
  EXPECT_NE(error_of(playbook).find("verification.hold"), std::string::npos);
  playbook = good();
  playbook.verification->probe = exec_of({"/usr/bin/act"});
  EXPECT_NE(error_of(playbook).find("either checks or a probe"), std::string::npos);
  playbook = good();
  playbook.verification->checks[0].kind = CheckKind::kBelow;
  EXPECT_NE(error_of(playbook).find("name the metric"), std::string::npos);
  EXPECT_FALSE(check_kind_from("vibes").has_value());
}

TEST(PlaybookSet, RefusesUrlsThatLeaveTheMachine) {
  const auto with_url = [](std::string url) {
    Playbook playbook = good();
    playbook.steps[0].action.kind = core::StepKind::kHttp;
    playbook.steps[0].action.url = std::move(url);
    return error_of(playbook);
  };
  EXPECT_EQ(with_url("http://127.0.0.1:8080/scale?name={service}"), "valid");
  EXPECT_EQ(with_url("http://localhost/x"), "valid");
  EXPECT_EQ(with_url("http://[::1]:9/x"), "valid");
  EXPECT_EQ(with_url("unix:/run/agent.sock:/scale"), "valid");
  for (const char* bad :
       {"https://127.0.0.1/", "http://10.0.0.1/", "http://example.com/", "http://{service}/",
        "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "unix:relative.sock:/x",
        "http://127.0.0.1/a b", "http://u@127.0.0.1/", "http://127.0.0.1.evil.com/"}) {
    EXPECT_NE(with_url(bad), "valid") << bad;
  }
}

TEST(PlaybookSet, DigestFollowsWhatThePlaybookDoes) {
  const auto set = PlaybookSet::build({good()}, kLimits);
  Playbook described = good();
  described.description = "other words";
  Playbook changed = good();
  changed.steps[0].action.argv.push_back("--more");
  EXPECT_EQ(set->digest(good()), set->digest(described));
  EXPECT_NE(set->digest(good()), set->digest(changed));
}

core::Result<Parameters> resolve(std::string service) {
  return resolve_parameters(good(), {{"service", std::move(service)}});
}

TEST(Parameters, ReachACommandAsOneArgument) {
  const auto values = resolve("api_service");
  ASSERT_TRUE(values.has_value()) << values.error().message;
  const auto command = command_of(good().steps[0].action, *values, "run_1", 0);
  EXPECT_EQ(command.argv, (Names{"/usr/bin/act", "--service=api_service"}));
}

TEST(Parameters, RefuseWhatAShellWouldRead) {
  for (const char* evil :
       {"; rm -rf /", "$(reboot)", "`reboot`", "a\nb", "-rf", "--help", "a b", "a;b", "a|b", "a&b",
        "a>b", "../../etc/passwd", "a'b", "a\"b", "", "{service}", "\xc3\xa4"}) {
    const auto values = resolve(evil);
    EXPECT_FALSE(values.has_value()) << evil;
  }
}

TEST(Parameters, RefuseALeadingDashWhateverThePatternSays) {
  Playbook playbook = good();
  playbook.parameters[0].pattern = ".*";
  EXPECT_TRUE(resolve_parameters(playbook, {{"service", "a-b"}}).has_value());
  EXPECT_FALSE(resolve_parameters(playbook, {{"service", "-b"}}).has_value());
}

// Even where the pattern allows it all, substitution makes no new arguments and expands nothing.
TEST(Parameters, StayOneArgumentEvenUnderALoosePattern) {
  Playbook playbook = good();
  playbook.parameters[0].pattern = ".*";
  const auto values = resolve_parameters(playbook, {{"service", "x; rm -rf / $(id) {service}"}});
  ASSERT_TRUE(values.has_value());
  const auto command = command_of(playbook.steps[0].action, *values, "run_1", 0);
  EXPECT_EQ(command.argv, (Names{"/usr/bin/act", "--service=x; rm -rf / $(id) {service}"}));
}

TEST(Parameters, AreEncodedIntoUrlsAndBodies) {
  ActionSpec action;
  action.kind = core::StepKind::kHttp;
  action.url = "http://127.0.0.1/scale?name={service}";
  action.body = "{\"name\":\"{service}\",\"n\":{}}";
  const auto command = command_of(action, {{"service", "a&b=\"c\""}}, "run_1", 0);
  EXPECT_EQ(command.url, "http://127.0.0.1/scale?name=a%26b%3D%22c%22");
  EXPECT_EQ(command.body, "{\"name\":\"a&b=\\\"c\\\"\",\"n\":{}}");
}

TEST(Parameters, TakeDefaultsForWhatIncidentsDoNotGive) {
  Playbook playbook = good();
  ParameterSpec count;
  count.name = "count";
  count.default_value = "2";
  playbook.parameters.push_back(count);
  // Not even an incident can replace a configured value.
  const auto values = resolve_parameters(playbook, {{"service", "api"}, {"count", "1000000"}});
  ASSERT_TRUE(values.has_value());
  EXPECT_EQ(values->at("count"), "2");
}

}  // namespace
}  // namespace grace::schedule
