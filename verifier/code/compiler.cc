#include "verifier/code/compiler.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/status.h"

namespace ponder::verifier {
namespace {

// A precompiled header serves only those who compile with the very flags it was made with.
constexpr absl::string_view kCompile = "PATH=/usr/bin g++ -O2 -std=gnu++20 -pipe -w -I/shared ";
constexpr absl::string_view kStandardLibrary = "bits/stdc++.h";

Limits CompileLimits() {
  Limits limits;
  limits.cpu_seconds = 10;
  limits.wall_seconds = 60;
  limits.memory_bytes = int64_t{768} << 20;
  limits.processes = 16;
  limits.output_bytes = limits.file_bytes = 64 << 20;
  return limits;
}

Limits HeaderLimits() {
  Limits limits = CompileLimits();
  limits.cpu_seconds = 60;
  limits.wall_seconds = 180;
  limits.memory_bytes = int64_t{2} << 30;
  limits.output_bytes = limits.file_bytes = int64_t{512} << 20;
  return limits;
}

std::string DefaultFolder() {
  if (geteuid() == 0) return "/var/cache/ponder";
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : absl::StrCat(home, "/.cache/ponder");
}

// Changes with the compiler.
std::string CompilerMark() {
  struct stat file = {};
  if (stat("/usr/bin/g++", &file) != 0) return "";
  return absl::StrCat(file.st_size, "-", file.st_mtime, "-2");
}

bool IsOurs(const std::string& path) {
  struct stat file = {};
  return lstat(path.c_str(), &file) == 0 && file.st_uid == geteuid() &&
         (file.st_mode & (S_IWGRP | S_IWOTH)) == 0 && !S_ISLNK(file.st_mode);
}

// Includes it, though not first, and after nothing that could change its meaning.
bool MayIncludeFirst(absl::string_view source) {
  const size_t include = source.find(kStandardLibrary);
  if (include == source.npos) return false;
  const absl::string_view before = source.substr(0, include);
  return !absl::StrContains(before, "define") && !absl::StrContains(before, "pragma") &&
         !absl::StrContains(before, "if") && !absl::StrContains(before, "/*");
}

}  // namespace

Compiler::Compiler(const Options& options, Sandbox& sandbox)
    : options_(options), sandbox_(sandbox), known_(options.remembered_bytes) {}

absl::StatusOr<RunResult> Compiler::RunCompiler(const std::string& command,
                                                absl::string_view source,
                                                const std::string& header_folder,
                                                const Limits& limits, absl::Time deadline) {
  Program program;
  program.argv = {"/bin/sh", "-c", command};
  program.files = {{"main.cpp", source, false}};
  program.shared_folder = header_folder;
  program.limits = limits;
  return sandbox_.Run(program, deadline);
}

std::string Compiler::HeaderFolder(absl::Time deadline) {
  absl::MutexLock lock(&header_mutex_);
  if (header_tried_) return header_folder_;
  const std::string mark = CompilerMark();
  const std::string root = options_.cache_folder.empty() ? DefaultFolder() : options_.cache_folder;
  const std::string folder = absl::StrCat(root, "/", mark);
  const std::string file = absl::StrCat(folder, "/", kStandardLibrary, ".gch");
  const auto make = [&]() -> absl::Status {
    if (mark.empty()) return absl::NotFoundError("no /usr/bin/g++");
    if (root.empty()) return absl::NotFoundError("no home folder to keep it in");
    PONDER_RETURN_IF_ERROR(MakeFolder(folder + "/bits"));
    if (!IsOurs(folder)) return absl::PermissionDeniedError(folder + " belongs to somebody else");
    if (IsOurs(file)) return absl::OkStatus();
    // Where the precompiled one can't serve, as at a second inclusion, this stands in for it.
    PONDER_RETURN_IF_ERROR(WriteFileAtomic(absl::StrCat(folder, "/", kStandardLibrary),
                                           "#include_next <bits/stdc++.h>\n"));
    PONDER_ASSIGN_OR_RETURN(
        const RunResult result,
        RunCompiler(absl::StrCat(kCompile,
                                 "-x c++-header -o /tmp/h.gch /box/main.cpp >&2 && "
                                 "exec cat /tmp/h.gch"),
                    "#include <bits/stdc++.h>\n", "", HeaderLimits(), deadline));
    if (!result.Succeeded()) {
      return absl::InternalError(
          absl::StrCat("g++ ended with code ", result.exit_code, ", signal ", result.signal,
                       ", limit ", static_cast<int>(result.end), " after ", result.cpu_seconds,
                       " s: ", result.error_output.substr(0, 300)));
    }
    PONDER_RETURN_IF_ERROR(WriteFileAtomic(file, result.output));
    if (chmod(file.c_str(), 0644) != 0) return ErrnoStatus(errno, absl::StrCat("chmod ", file));
    return absl::OkStatus();
  };
  const absl::Status status = make();
  if (absl::IsDeadlineExceeded(status)) return "";  // the next caller may have more time
  header_tried_ = true;
  if (status.ok()) {
    header_folder_ = folder;
  } else {
    PONDER_LOG(kWarning, "C++ compiles without a precompiled <bits/stdc++.h>: ", status.message());
  }
  return header_folder_;
}

absl::StatusOr<std::shared_ptr<const Compilation>> Compiler::Compile(const std::string& source,
                                                                     bool with_standard_library,
                                                                     absl::Time deadline) {
  using Shared = std::shared_ptr<const Compilation>;
  const bool first = with_standard_library || MayIncludeFirst(source);
  const std::string key = absl::StrCat(first ? "1" : "0", source);
  return known_.Get(key, deadline, [&]() -> absl::StatusOr<Memo<Shared>::Made> {
    const bool uses_header = first || absl::StrContains(source, kStandardLibrary);
    const std::string folder = uses_header ? HeaderFolder(deadline) : "";
    PONDER_ASSIGN_OR_RETURN(
        RunResult result,
        RunCompiler(absl::StrCat(kCompile, first ? "-include bits/stdc++.h " : "",
                                 "-o /tmp/a.out /box/main.cpp >&2 && exec cat /tmp/a.out"),
                    source, folder, CompileLimits(), deadline));
    auto compilation = std::make_shared<Compilation>();
    compilation->succeeded = result.Succeeded();
    if (result.Succeeded()) {
      compilation->binary = std::move(result.output);
    } else if (result.end == RunResult::End::kExited) {
      compilation->diagnostics = result.error_output.substr(0, 4096);
    } else {
      compilation->diagnostics = "compiling it takes too much time or memory";
      compilation->repeatable = false;
    }
    const size_t bytes = compilation->binary.size() + compilation->diagnostics.size();
    const bool keep = compilation->repeatable;
    return Memo<Shared>::Made{std::move(compilation), bytes, keep};
  });
}

}  // namespace ponder::verifier
