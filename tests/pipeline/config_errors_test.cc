// Mistakes in the configuration stop the start, and the message says where they are.
#include <gtest/gtest.h>

#include <fstream>

#include "config.h"
#include "stream.h"

namespace grace::testing {
namespace {

class Config : public ::testing::Test {
 protected:
  // The message with which this configuration is refused; empty when it is accepted.
  std::string refusal(const std::string& toml) {
    const std::string path = directory_ / "grace.toml";
    std::ofstream(path) << toml;
    auto loaded = tools::load_config(path);
    if (!loaded) return without_folder(loaded.error().message);
    const auto checked = tools::check_config(std::move(*loaded));
    return checked ? std::string() : without_folder(checked.error().message);
  }
  static constexpr const char* kGood = R"(
[schedule]
exec_allowed = ["/usr/bin/true"]
[[playbook]]
name = "restart_api"
risk = "low"
[[playbook.step]]
exec = ["/usr/bin/true"]
[playbook.verify]
[[playbook.verify.check]]
is = "errors"
value = 0
)";

 private:
  std::string without_folder(std::string message) const {
    const std::string folder = directory_ / "";
    for (std::size_t at; (at = message.find(folder)) != std::string::npos;) {
      message.erase(at, folder.size());
    }
    return message;
  }
  TemporaryDirectory directory_;
};

TEST_F(Config, AGoodOneIsAccepted) {
  EXPECT_EQ(refusal(kGood), "");
}

TEST_F(Config, WhatLimitsTheLedgerIsCheckedAndTaken) {
  EXPECT_EQ(refusal("[engine]\nledger_retention_bytes = \"20GiB\"\n"
                    "ledger_retention_age = \"365d\"\nledger_compress_after = 2\n"),
            "");
  const auto names = [&](const std::string& line, const std::string& field) {
    const std::string message = refusal("[engine]\n" + line + "\n");
    EXPECT_NE(message.find(field), std::string::npos) << line << ": " << message;
  };
  names("ledger_retention_bytes = \"1MiB\"", "engine.ledger_retention_bytes");
  names("ledger_retention_bytes = -1", "ledger_retention_bytes");
  names("ledger_retention_bytes = \"much\"", "ledger_retention_bytes");
  names("ledger_retention_age = \"10ms\"", "ledger_retention_age");
  names("ledger_retention_age = \"-1d\"", "ledger_retention_age");
  names("ledger_retention_age = 30", "ledger_retention_age");
  names("ledger_compress_after = -1", "ledger_compress_after");
  names("ledger_compress_after = \"2\"", "ledger_compress_after");
}

TEST_F(Config, AnUnknownBuiltInStepIsRefusedWithItsLine) {
  const std::string message = refusal(
      "[[playbook]]\nname = \"p\"\n[[playbook.step]]\n"
      "builtin = \"reboot_the_world\"\n");
  EXPECT_EQ(message.rfind("grace.toml:3: ", 0), 0U) << message;
  EXPECT_NE(message.find("reboot_the_world"), std::string::npos) << message;
}

TEST_F(Config, AnUnknownStepKindIsRefusedWithItsLine) {
  const std::string message = refusal(
      "[[playbook]]\nname = \"p\"\n[[playbook.step]]\n"
      "shell = \"rm -rf /\"\n");
  EXPECT_EQ(message.rfind("grace.toml:", 0), 0U) << message;
  EXPECT_NE(message.find("shell"), std::string::npos) << message;
}

TEST_F(Config, AnUnknownPlaybookInAPolicyIsRefusedWithItsLine) {
  const std::string message = refusal(std::string(kGood) +
                                      "[[policy]]\nname = \"mine\"\nplaybook = \"restart_apj\"\n"
                                      "decision = \"allow\"\n");
  EXPECT_EQ(message.rfind("grace.toml:13: ", 0), 0U) << message;
  EXPECT_NE(message.find("restart_apj"), std::string::npos) << message;
}

TEST_F(Config, AnUnknownSettingIsRefusedWithItsLine) {
  const std::string message = refusal("mode = \"auto\"\n[engine]\nworkerz = 2\n");
  EXPECT_EQ(message.rfind("grace.toml:3: ", 0), 0U) << message;
  EXPECT_NE(message.find("workerz"), std::string::npos) << message;
}

TEST_F(Config, IdlePoliciesAreKnownByName) {
  for (const char* const idle : {"spin", "yield", "park"}) {
    EXPECT_EQ(refusal("[engine]\nidle = \"" + std::string(idle) + "\"\n"), "");
  }
  const std::string message = refusal("[engine]\nidle = \"sleep\"\n");
  EXPECT_EQ(message.rfind("grace.toml:2: ", 0), 0U) << message;
  EXPECT_NE(message.find("'sleep' is not known"), std::string::npos) << message;
}

TEST_F(Config, ThreadingsAreKnownByName) {
  for (const char* const threading : {"run_to_completion", "pipeline"}) {
    EXPECT_EQ(refusal("[engine]\nthreading = \"" + std::string(threading) + "\"\n"), "");
  }
  const std::string message = refusal("[engine]\nthreading = \"fibers\"\n");
  EXPECT_EQ(message.rfind("grace.toml:2: ", 0), 0U) << message;
  EXPECT_NE(message.find("'fibers' is not known"), std::string::npos) << message;
}

TEST_F(Config, AProgramThatIsNotAllowedIsRefused) {
  std::string toml = kGood;
  toml.replace(toml.find("exec = [\"/usr/bin/true\"]"), 24, "exec = [\"/usr/bin/fals\"]");
  const std::string message = refusal(toml);
  EXPECT_EQ(message.rfind("grace.toml:", 0), 0U) << message;
  EXPECT_NE(message.find("not in exec_allowed"), std::string::npos) << message;
}

TEST_F(Config, AFieldThatCannotBeRedactedIsNamed) {
  const auto refused = [this](const std::string& field) {
    return refusal("[engine]\nledger_redact = [\"payload.reason\", \"" + field + "\"]\n");
  };
  EXPECT_EQ(refused("actor"), "");
  EXPECT_EQ(refused("payload.evidence.note"), "");
  for (const char* field : {"resource", "payload", "payload.run_id", "payload.parameters.token",
                            "ts", "result", "payload..user", ""}) {
    const std::string message = refused(field);
    EXPECT_EQ(message.rfind("engine.ledger_redact: ", 0), 0U) << field << ": " << message;
    EXPECT_NE(message.find("'" + std::string(field) + "'"), std::string::npos) << message;
  }
}

TEST_F(Config, AnEarlierSigningKeyNeedsALaterOne) {
  const std::string message = refusal("[engine]\nledger_previous_signing_key = \"old.key\"\n");
  EXPECT_NE(message.find("without engine.ledger_signing_key"), std::string::npos) << message;
}

}  // namespace
}  // namespace grace::testing
