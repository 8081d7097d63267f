// Compiles C++ answers, in a jail.
#pragma once

#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "verifier/code/memo.h"
#include "verifier/sandbox/sandbox.h"

namespace ponder::verifier {

struct Compilation {
  bool succeeded = false;
  bool repeatable = true;  // false: stopped at a limit that it might keep at another time
  std::string binary;
  std::string diagnostics;  // the first lines; never for the model's eyes: they may quote files
};

// A machine, thread-safe. g++ -O2 -std=gnu++20. What was compiled is remembered by its source, the
// latest 256 MB of it. Sources that include <bits/stdc++.h> share a precompiled one, which is made
// once and kept in a folder for later processes.
class Compiler {
 public:
  struct Options {
    std::string cache_folder;  // "": /var/cache/ponder as root, else ~/.cache/ponder
    size_t remembered_bytes = 256 << 20;
  };
  // `sandbox` outlives this.
  Compiler(const Options& options, Sandbox& sandbox);
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;

  // `with_standard_library`: as if the source began with #include <bits/stdc++.h>. Errors are the
  // sandbox's; that a source doesn't compile, or only at too great a cost, is a result.
  absl::StatusOr<std::shared_ptr<const Compilation>> Compile(const std::string& source,
                                                             bool with_standard_library,
                                                             absl::Time deadline);

 private:
  // Makes the precompiled header unless it is there. Returns its folder; "" where it can't be made:
  // then everything compiles without it, more slowly.
  std::string HeaderFolder(absl::Time deadline) ABSL_LOCKS_EXCLUDED(header_mutex_);
  absl::StatusOr<RunResult> RunCompiler(const std::string& command, absl::string_view source,
                                        const std::string& header_folder, const Limits& limits,
                                        absl::Time deadline);

  const Options options_;
  Sandbox& sandbox_;

  absl::Mutex header_mutex_;
  bool header_tried_ ABSL_GUARDED_BY(header_mutex_) = false;
  std::string header_folder_ ABSL_GUARDED_BY(header_mutex_);

  Memo<std::shared_ptr<const Compilation>> known_;  // by source
};

}  // namespace ponder::verifier
