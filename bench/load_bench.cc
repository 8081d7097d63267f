// How fast a checkpoint is loaded until it can generate, beside how fast its bytes come out of the
// page cache, as one line of JSON: read() into one buffer that is used again and again, and into
// fresh memory, which a model has to fill: of the files' size in huge pages, and of 64 MB in small
// ones. The best of three rounds, one after the other: a virtual machine's host gives memory that
// nobody has used for some seconds at a tenth of the speed. Also what memory loading takes.
//
//   bench_load FOLDER [THREADS]
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "moe/checkpoint.h"
#include "moe/checkpoint_files.h"
#include "moe/inference.h"
#include "moe/kernels/thread_pool.h"

namespace ponder {
namespace {

constexpr size_t kSample = 64 << 20;

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

// Reads at most `bytes` of the files into memory from `place` on, which advances, or again and
// again into the same. Bytes a second.
double ReadRate(const moe::CheckpointFiles& files, size_t bytes, char* place, bool advances) {
  constexpr size_t kPiece = 1 << 20;
  size_t done = 0;
  const absl::Time start = SteadyNow();
  for (size_t i = 0; i < files.names().size(); ++i) {
    const int fd = open(files.path(i).c_str(), O_RDONLY | O_CLOEXEC);
    for (ssize_t n = 0;
         done < bytes && (n = read(fd, place, std::min(kPiece, bytes - done))) > 0;) {
      if (advances) place += n;
      done += static_cast<size_t>(n);
    }
    close(fd);
  }
  return static_cast<double>(done) / absl::ToDoubleSeconds(SteadyNow() - start);
}

// Into memory that the system has not yet given us.
double ReadFreshRate(const moe::CheckpointFiles& files, size_t bytes, bool huge) {
  const size_t mapped = bytes + (2 << 20);
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return 0;
  madvise(memory, mapped, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  const double rate = ReadRate(files, bytes, static_cast<char*>(memory), /*advances=*/true);
  munmap(memory, mapped);
  return rate;
}

// From here on VmHWM is the peak.
void ForgetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

absl::Status Measure(const std::string& folder, int threads) {
  PONDER_ASSIGN_OR_RETURN(const auto files, moe::CheckpointFiles::Open(folder));
  size_t bytes = 0;
  for (size_t i = 0; i < files->names().size(); ++i) bytes += files->file(i).bytes().size();
  kernels::ThreadPool pool(threads);
  std::vector<char> buffer(1 << 20);
  double read = 0, fresh_small = 0, fresh_huge = 0, load = 0;
  double open_seconds = 1e9, packed_gb = 0, peak_gb = 0;
  ReadRate(*files, bytes, buffer.data(), false);  // into the page cache
  for (int round = 0; round < 3; ++round) {
    read = std::max(read, ReadRate(*files, bytes, buffer.data(), false));
    fresh_small = std::max(fresh_small, ReadFreshRate(*files, std::min(bytes, kSample), false));
    fresh_huge = std::max(fresh_huge, ReadFreshRate(*files, bytes, true));
    ForgetPeak();
    const double before = StatusGb("RssAnon:");
    const absl::Time start = SteadyNow();
    PONDER_ASSIGN_OR_RETURN(moe::Model model, moe::LoadModel(folder));
    const absl::Time opened = SteadyNow();
    PONDER_ASSIGN_OR_RETURN(const auto packed, moe::PackModel(pool, model));
    const double seconds = absl::ToDoubleSeconds(SteadyNow() - start);
    load = std::max(load, static_cast<double>(bytes) / seconds);
    open_seconds = std::min(open_seconds, absl::ToDoubleSeconds(opened - start));
    packed_gb = std::max(packed_gb, StatusGb("RssAnon:") - before);
    peak_gb = std::max(peak_gb, StatusGb("VmHWM:"));
  }
  std::printf(
      "{\"gb\": %.3f, \"threads\": %d, \"read_gb_per_s\": %.2f, \"read_fresh_gb_per_s\": %.2f, "
      "\"read_fresh_small_pages_gb_per_s\": %.2f, \"load_gb_per_s\": %.2f, "
      "\"open_seconds\": %.3f, \"resident_gb\": %.3f, \"peak_gb\": %.3f}\n",
      static_cast<double>(bytes) / 1e9, threads, read / 1e9, fresh_huge / 1e9, fresh_small / 1e9,
      load / 1e9, open_seconds, packed_gb, peak_gb);
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
