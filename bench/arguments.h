#pragma once
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

// What the programs here are told: words in a fixed order, and flags. Flags that are not theirs are
// passed over, since ctest gives every program those of Google Benchmark.
namespace grace::bench {

struct Arguments {
  std::vector<std::string> words;
  bool as_json = false;
};

inline Arguments arguments_of(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--json") arguments.as_json = true;
    if (argv[i][0] != '-') arguments.words.emplace_back(argv[i]);
  }
  return arguments;
}

// How much a program does: its first two words. Without any tiny, as ctest runs it.
struct Effort {
  std::uint64_t count = 0;  // of events or records
  std::size_t repetitions = 0;
};
// Words that are no numbers give 0, which no program takes.
inline Effort effort_of(const Arguments& arguments, std::uint64_t tiny_count) {
  const auto number = [&](std::size_t index) {
    return std::strtoull(arguments.words[index].c_str(), nullptr, 10);
  };
  if (arguments.words.empty()) return {tiny_count, 1};
  return {number(0), arguments.words.size() > 1 ? number(1) : 9};
}

// A new folder in the one that is the word at `index`, or in the system's for temporary files;
// empty where that cannot be made.
inline std::string scratch_folder(const Arguments& arguments, std::size_t index,
                                  const std::string& name) {
  std::string folder = arguments.words.size() > index
                           ? arguments.words[index]
                           : std::filesystem::temp_directory_path().string();
  folder += "/" + name + ".XXXXXX";
  return ::mkdtemp(folder.data()) != nullptr ? folder : std::string();
}

}  // namespace grace::bench
