// What runs in a jail, under which limits, and what came of it. Values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ponder::verifier {

struct Limits {
  double cpu_seconds = 4;  // of all processes together
  // Not counted is time in which the machine had no CPU for some task that wanted one, up to four
  // times this: a program may not fail because its neighbours are many.
  double wall_seconds = 10;
  int64_t memory_bytes = 512 << 20;  // of all processes together, files in /tmp included
  int processes = 64;                // and threads
  int64_t output_bytes = 16 << 20;   // of standard output; as much again of standard error
  int64_t file_bytes = 64 << 20;     // in /tmp, together
};

// A file that the program finds, read-only, in /box.
struct JailFile {
  std::string name;            // without a folder
  absl::string_view contents;  // the caller's
  bool executable = false;
};

struct Program {
  std::vector<std::string> argv;  // argv[0] as seen in the jail: /usr/bin/..., /box/...
  std::vector<JailFile> files;
  absl::string_view input;    // standard input; the caller's
  std::string shared_folder;  // a folder of the host that is seen, read-only, as /shared; or ""
  // File descriptors of the caller that the program gets as 3 and 4; Run closes them. -1: none.
  int channel_in = -1;
  int channel_out = -1;
  Limits limits;
};

struct RunResult {
  enum class End {
    kExited,    // by itself: exit_code
    kSignaled,  // by a signal of its own making: signal
    kCpuLimit,
    kWallLimit,
    kMemoryLimit,  // the kernel killed a process of the jail for its memory
    kOutputLimit,
    kStopped,  // by the caller, or the other program of its pair had ended: see Sandbox
  };
  End end = End::kExited;
  int exit_code = 0;
  int signal = 0;
  double cpu_seconds = 0;  // of all its processes
  double wall_seconds = 0;
  std::string output;        // standard output, at most Limits::output_bytes
  std::string error_output;  // the first 64 kB of standard error

  bool Succeeded() const { return end == End::kExited && exit_code == 0; }
};

}  // namespace ponder::verifier
