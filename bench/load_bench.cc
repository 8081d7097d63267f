// How fast a checkpoint is loaded until it can generate, beside how fast its bytes come out of the
// page cache, as one line of JSON. Loading twice shows what memory it takes: the packed weights,
// and pages of the files that the kernel may drop at any time.
//
//   bench_load FOLDER [THREADS]
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "moe/checkpoint.h"
#include "moe/checkpoint_files.h"
#include "moe/inference.h"
#include "moe/kernels/thread_pool.h"

namespace ponder {
namespace {

// Bytes in gigabytes of "VmHWM:  123 kB" and the like in /proc/self/status.
double StatusGb(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    absl::string_view rest = line;
    int64_t kb = 0;
    if (absl::ConsumePrefix(&rest, key) && absl::ConsumeSuffix(&rest, " kB") &&
        absl::SimpleAtoi(rest, &kb)) {
      return static_cast<double>(kb) * 1024 / 1e9;
    }
  }
  return 0;
}

// Reads the files through one buffer; seconds.
double ReadSeconds(const moe::CheckpointFiles& files) {
  std::vector<char> buffer(1 << 20);
  const absl::Time start = absl::Now();
  for (const std::string& name : files.names()) {
    const int fd = open((files.folder() + "/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    while (read(fd, buffer.data(), buffer.size()) > 0) {
    }
    close(fd);
  }
  return absl::ToDoubleSeconds(absl::Now() - start);
}

absl::Status Measure(const std::string& folder, int threads) {
  PONDER_ASSIGN_OR_RETURN(const auto files, moe::CheckpointFiles::Open(folder));
  double bytes = 0;
  for (size_t i = 0; i < files->names().size(); ++i)
    bytes += static_cast<double>(files->file(i).bytes().size());
  kernels::ThreadPool pool(threads);
  double read_seconds = 1e9, open_seconds = 1e9, load_seconds = 1e9, packed_gb = 0;
  ReadSeconds(*files);  // into the page cache
  for (int round = 0; round < 3; ++round) {
    read_seconds = std::min(read_seconds, ReadSeconds(*files));
    const double before = StatusGb("RssAnon:");
    const absl::Time start = absl::Now();
    PONDER_ASSIGN_OR_RETURN(moe::Model model, moe::LoadModel(folder));
    const absl::Time opened = absl::Now();
    PONDER_ASSIGN_OR_RETURN(const auto packed, moe::PackModel(pool, model));
    load_seconds = std::min(load_seconds, absl::ToDoubleSeconds(absl::Now() - start));
    open_seconds = std::min(open_seconds, absl::ToDoubleSeconds(opened - start));
    // Later rounds use again what the first one gave back.
    if (round == 0) packed_gb = StatusGb("RssAnon:") - before;
  }
  std::printf(
      "{\"gb\": %.3f, \"threads\": %d, \"read_gb_per_s\": %.2f, \"load_gb_per_s\": %.2f, "
      "\"open_seconds\": %.3f, \"resident_gb\": %.3f, \"peak_with_file_pages_gb\": %.3f}\n",
      bytes / 1e9, threads, bytes / read_seconds / 1e9, bytes / load_seconds / 1e9, open_seconds,
      packed_gb, StatusGb("VmHWM:"));
  return absl::OkStatus();
}

}  // namespace
}  // namespace ponder

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_load FOLDER [THREADS]\n");
    return 2;
  }
  const absl::Status status = ponder::Measure(argv[1], argc > 2 ? std::atoi(argv[2]) : 1);
  if (status.ok()) return 0;
  std::fprintf(stderr, "bench_load: %s\n", std::string(status.message()).c_str());
  return 1;
}
