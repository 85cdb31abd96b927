#include <algorithm>
#include <cstring>

#include "grace/ledger/crc32c.h"
#include "log_fixture.h"

namespace grace::ledger {
namespace {

const std::string kSource = GRACE_SOURCE_DIR;

class FormatTest : public LogTest {
 protected:
  static Bytes sample(const std::string& name) {
    return load(kSource + "/tests/ledger/corpus/" + name);
  }
};

// Files written by an earlier build of this version stay readable.
TEST_F(FormatTest, KeptSamplesVerify) {
  for (const std::string name :
       {"closed_sha256.segment", "closed_crc32c.segment", "closed_record_tree.segment"}) {
    const Bytes bytes = sample(name);
    std::vector<std::string> texts;
    const VerifyReport verified =
        verify_segment_bytes(std::as_bytes(std::span(bytes)),
                             [&](const RecordView& record) { texts.emplace_back(record.text()); });
    EXPECT_TRUE(verified.ok) << name << ": " << reason(verified);
    EXPECT_TRUE(verified.sealed);
    EXPECT_EQ(texts, (std::vector<std::string>{"hello, ledger", R"({"a":1})"}));
  }
}

TEST_F(FormatTest, TheDocumentsExampleIsTheKeptSample) {
  const Bytes bytes = sample("closed_sha256.segment");
  std::ifstream document(kSource + "/docs/ledger_format.md");
  ASSERT_TRUE(document.good());
  std::string line;
  int lines = 0;
  while (std::getline(document, line)) {
    if (line.size() < 60 || line.find_first_not_of("0123456789abcdef") != 8 ||
        line.substr(8, 2) != "  " || line[12] != ' ' || line[58] != ' ') {
      continue;
    }
    const auto at = static_cast<std::size_t>(std::stoul(line.substr(0, 8), nullptr, 16));
    for (std::size_t i = 0; i < 16; ++i) {
      const int stated = std::stoi(line.substr(10 + 3 * i, 2), nullptr, 16);
      ASSERT_EQ(stated, static_cast<unsigned char>(bytes.at(at + i))) << line;
    }
    ++lines;
  }
  EXPECT_GE(lines, 20) << "the example is not where this test looks for it";
}

TEST_F(FormatTest, RefusesWhatANewerVersionMayMean) {
  for (const std::size_t field : {std::size_t{12}, std::size_t{112}}) {  // version, features
    Bytes bytes = sample("closed_sha256.segment");
    for (const std::size_t copy : {std::size_t{0}, std::size_t{4096}}) {
      const auto header = std::span(bytes).subspan(copy, kSegmentHeaderBytes);
      header[field] = field == 12 ? 2 : 64;
      std::fill_n(header.begin() + 8, 4, '\0');
      const std::uint32_t crc = crc32c(std::as_bytes(header));
      std::memcpy(header.data() + 8, &crc, sizeof(crc));
    }
    const VerifyReport verified = verify_segment_bytes(std::as_bytes(std::span(bytes)));
    ASSERT_TRUE(verified.first_fault.has_value());
    EXPECT_EQ(verified.first_fault->code, ErrorCode::kUnsupported) << reason(verified);
    std::filesystem::create_directories(config_.directory);
    store(segment(1), bytes);
    EXPECT_EQ(Writer::open(config_).error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(Reader::open(config_.directory).error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(load(segment(1)), bytes) << "and nothing was changed";
  }
}

}  // namespace
}  // namespace grace::ledger
