// Starts `ponder run` as a user does, watches its log, and kills what a test wants dead.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace ponder::deploy {

using Json = nlohmann::ordered_json;

// Every wait ends after this, and then fails the test.
constexpr absl::Duration kPatience = absl::Minutes(3);

// A `ponder` process. A machine: killed, with its children, when it goes out of scope.
class PonderProcess {
 public:
  // `output` takes stdout and stderr.
  PonderProcess(const std::vector<std::string>& arguments, const std::string& output);
  ~PonderProcess();
  PonderProcess(const PonderProcess&) = delete;
  PonderProcess& operator=(const PonderProcess&) = delete;

  void Signal(int signal);
  // The exit code, or -signal.
  int Wait();
  bool ended();
  // Child processes whose command line has `text` in it.
  std::vector<pid_t> Children(const std::string& text = "") const;

 private:
  pid_t pid_ = 0;
  int status_ = 0;
  bool reaped_ = false;
};

// A folder, and runs in it of a model so small that a step takes milliseconds.
class RunTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) const;
  std::string Read(const std::string& path) const;

  // `ponder run --out <folder>/<name>` with the small config and --set for each of `overrides`.
  std::vector<std::string> RunArguments(const std::string& name,
                                        const std::vector<std::string>& overrides = {}) const;
  // Runs to the end and expects exit code 0; shows the output if not.
  void RunToTheEnd(const std::string& name, const std::vector<std::string>& overrides = {});
  // Runs `ponder` with `arguments`; the exit code and what it printed.
  struct Output {
    int exit_code = 0;
    std::string text;
  };
  Output Ponder(const std::vector<std::string>& arguments);

  // The records of a run's log so far, of one kind, or of all.
  std::vector<Json> Metrics(const std::string& name, const std::string& event = "") const;
  // Waits for the first record that `wanted` accepts, or for the end of `process`.
  void WaitFor(const std::string& name, PonderProcess& process,
               const std::function<bool(const Json&)>& wanted) const;
  void WaitForStep(const std::string& name, PonderProcess& process, int64_t step) const;

  // The rows of a query on the run's ledger, columns separated by '|'.
  std::vector<std::string> Ledger(const std::string& name, const std::string& query) const;
  // Every sample that was ever leased is trained once, or dropped for a reason.
  void ExpectBooksClosed(const std::string& name) const;
  // SHA-like fingerprint of the trained weights: the bytes of the model's safetensors.
  std::string FinalWeights(const std::string& name) const;

  std::string folder_;
};

}  // namespace ponder::deploy
