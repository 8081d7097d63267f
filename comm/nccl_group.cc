// Ranks with a GPU each, over NCCL. Spans may lie in memory of the rank's device, which is used as
// it is, or of the host, which is copied there and back. A sum is not ncclAllReduce's, whose order
// depends on its choice of algorithm: slices go to their rank, which adds them in rank order (axpy
// with factor 1: one exact product, one rounded sum) and sends them back.
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "base/steady_clock.h"
#include "comm/arguments.h"
#include "comm/group.h"
#include "comm/poll.h"

namespace ponder::comm {
namespace {

constexpr int64_t kSumAtOnce = int64_t{1}
                               << 26;  // numbers summed in one exchange: bounds the scratch

absl::Status CudaStatus(cudaError_t code, absl::string_view what) {
  if (code == cudaSuccess) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(what, ": CUDA: ", cudaGetErrorString(code)));
}

absl::Status NcclStatus(ncclResult_t code, absl::string_view what) {
  if (code == ncclSuccess || code == ncclInProgress) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(what, ": NCCL: ", ncclGetErrorString(code)));
}

// Memory of the current device.
class DeviceBytes {
 public:
  DeviceBytes() = default;
  DeviceBytes(const DeviceBytes&) = delete;
  DeviceBytes& operator=(const DeviceBytes&) = delete;
  ~DeviceBytes() { cudaFree(data_); }

  absl::Status Allocate(size_t bytes) {
    return CudaStatus(cudaMalloc(&data_, std::max<size_t>(bytes, 1)),
                      absl::StrCat("allocating ", bytes, " bytes of GPU memory"));
  }
  uint8_t* data() const { return static_cast<uint8_t*>(data_); }

 private:
  void* data_ = nullptr;
};

// The caller's bytes as the device sees them.
class OnDevice {
 public:
  // With `copy_in`, bytes of the host are copied to the device.
  absl::Status Bind(const void* data, size_t bytes, bool copy_in) {
    host_ = const_cast<void*>(data);
    bytes_ = bytes;
    cudaPointerAttributes attributes{};
    if (bytes > 0) {
      PONDER_RETURN_IF_ERROR(
          CudaStatus(cudaPointerGetAttributes(&attributes, data), "cudaPointerGetAttributes"));
    }
    staged_ = attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged;
    if (!staged_) return absl::OkStatus();
    PONDER_RETURN_IF_ERROR(copy_.Allocate(bytes));
    if (!copy_in) return absl::OkStatus();
    return CudaStatus(cudaMemcpy(copy_.data(), data, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
  }
  // Back to the host, once the device is done.
  absl::Status CopyOut() {
    if (!staged_) return absl::OkStatus();
    return CudaStatus(cudaMemcpy(host_, copy_.data(), bytes_, cudaMemcpyDeviceToHost),
                      "cudaMemcpy");
  }
  uint8_t* data() const { return staged_ ? copy_.data() : static_cast<uint8_t*>(host_); }

 private:
  void* host_ = nullptr;
  size_t bytes_ = 0;
  bool staged_ = false;
  DeviceBytes copy_;
};

// A part of device memory that goes to, or comes from, one rank.
struct Block {
  uint8_t* data = nullptr;
  size_t bytes = 0;
};

class NcclGroup final : public Group {
 public:
  NcclGroup(int rank, int size, int device, const GroupOptions& options)
      : rank_(rank), size_(size), device_(device), options_(options) {}

  // All ranks call it with the same `id`.
  absl::Status Connect(const ncclUniqueId& id) {
    PONDER_RETURN_IF_ERROR(
        CudaStatus(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate"));
    if (cublasCreate(&blas_) != CUBLAS_STATUS_SUCCESS ||
        cublasSetStream(blas_, stream_) != CUBLAS_STATUS_SUCCESS) {
      return absl::AbortedError("cuBLAS can't be started");
    }
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    PONDER_RETURN_IF_ERROR(
        NcclStatus(ncclCommInitRankConfig(&comm_, size_, id, rank_, &config), "connecting"));
    return Settle("connecting");
  }

  ~NcclGroup() override {
    cudaSetDevice(device_);
    if (comm_ != nullptr) {
      if (NcclStatus(ncclCommFinalize(comm_), "leaving").ok() && Settle("leaving").ok()) {
        ncclCommDestroy(comm_);
      } else if (comm_ != nullptr) {
        ncclCommAbort(comm_);
      }
    }
    if (blas_ != nullptr) cublasDestroy(blas_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  absl::Status Barrier() override {
    std::vector<uint8_t> present(size_);
    const uint8_t mine = 1;
    return Gather("Barrier", absl::MakeConstSpan(&mine, 1), absl::MakeSpan(present));
  }

  absl::Status Broadcast(absl::Span<uint8_t> bytes, int root) override {
    PONDER_RETURN_IF_ERROR(CheckRoot(root, size_));
    PONDER_RETURN_IF_ERROR(Begin());
    OnDevice x;
    PONDER_RETURN_IF_ERROR(x.Bind(bytes.data(), bytes.size(), /*copy_in=*/rank_ == root));
    PONDER_RETURN_IF_ERROR(End("Broadcast", ncclBroadcast(x.data(), x.data(), bytes.size(),
                                                          ncclUint8, root, comm_, stream_)));
    return x.CopyOut();
  }

  absl::Status AllReduceSum(absl::Span<float> x) override {
    const float one = 1;
    return Sum(x, [this, one](int n, const float* term, float* sum) {
      return cublasSaxpy(blas_, n, &one, term, 1, sum, 1);
    });
  }
  absl::Status AllReduceSum(absl::Span<double> x) override {
    const double one = 1;
    return Sum(x, [this, one](int n, const double* term, double* sum) {
      return cublasDaxpy(blas_, n, &one, term, 1, sum, 1);
    });
  }

  absl::Status AllGather(absl::Span<const uint8_t> in, absl::Span<uint8_t> out) override {
    PONDER_RETURN_IF_ERROR(CheckAllGather(in.size(), out.size(), size_));
    return Gather("AllGather", in, out);
  }

  absl::Status AllToAll(absl::Span<const float> in, absl::Span<const int64_t> send_counts,
                        absl::Span<float> out, absl::Span<const int64_t> recv_counts) override {
    PONDER_RETURN_IF_ERROR(
        CheckAllToAll(in.size(), send_counts, out.size(), recv_counts, rank_, size_));
    PONDER_RETURN_IF_ERROR(Begin());
    OnDevice from, to;
    PONDER_RETURN_IF_ERROR(from.Bind(in.data(), in.size() * sizeof(float), /*copy_in=*/true));
    PONDER_RETURN_IF_ERROR(to.Bind(out.data(), out.size() * sizeof(float), /*copy_in=*/false));
    PONDER_RETURN_IF_ERROR(
        Exchange("AllToAll", Blocks(from.data(), send_counts), Blocks(to.data(), recv_counts)));
    return to.CopyOut();
  }

  absl::StatusOr<std::unique_ptr<Group>> Split(int color) override {
    PONDER_RETURN_IF_ERROR(CheckColor(color));
    // Every rank draws an id; that of the first rank of a color is used.
    struct Entry {
      int color;
      ncclUniqueId id;
    };
    Entry mine{color, {}};
    PONDER_RETURN_IF_ERROR(NcclStatus(ncclGetUniqueId(&mine.id), "Split"));
    std::vector<Entry> entries(size_);
    PONDER_RETURN_IF_ERROR(
        Gather("Split", {reinterpret_cast<const uint8_t*>(&mine), sizeof(mine)},
               {reinterpret_cast<uint8_t*>(entries.data()), entries.size() * sizeof(Entry)}));
    std::vector<int> members;
    for (int r = 0; r < size_; ++r) {
      if (entries[r].color == color) members.push_back(r);
    }
    const auto place = std::find(members.begin(), members.end(), rank_) - members.begin();
    auto part = std::make_unique<NcclGroup>(static_cast<int>(place),
                                            static_cast<int>(members.size()), device_, options_);
    PONDER_RETURN_IF_ERROR(Annotate(part->Connect(entries[members[0]].id), "Split"));
    return part;
  }

 private:
  // One block a rank, one after the other.
  static std::vector<Block> Blocks(uint8_t* data, absl::Span<const int64_t> floats) {
    std::vector<Block> blocks;
    for (const int64_t count : floats) {
      blocks.push_back({data, count * sizeof(float)});
      data += blocks.back().bytes;
    }
    return blocks;
  }

  // `count` elements cut into one slice a rank, equal but for one element.
  std::vector<Block> Slices(uint8_t* data, int64_t count, size_t element_bytes) const {
    std::vector<Block> slices;
    for (int64_t r = 0; r < size_; ++r) {
      const int64_t begin = count * r / size_, end = count * (r + 1) / size_;
      slices.push_back({data + begin * element_bytes, (end - begin) * element_bytes});
    }
    return slices;
  }

  absl::Status Begin() {
    PONDER_RETURN_IF_ERROR(failure_);
    return CudaStatus(cudaSetDevice(device_), "cudaSetDevice");
  }

  absl::Status Gather(absl::string_view operation, absl::Span<const uint8_t> in,
                      absl::Span<uint8_t> out) {
    PONDER_RETURN_IF_ERROR(Begin());
    OnDevice from, to;
    PONDER_RETURN_IF_ERROR(from.Bind(in.data(), in.size(), /*copy_in=*/true));
    PONDER_RETURN_IF_ERROR(to.Bind(out.data(), out.size(), /*copy_in=*/false));
    PONDER_RETURN_IF_ERROR(End(
        operation, ncclAllGather(from.data(), to.data(), in.size(), ncclUint8, comm_, stream_)));
    return to.CopyOut();
  }

  // Sends to[r] to rank r and fills from[r] from it, for all r.
  absl::Status Exchange(absl::string_view operation, const std::vector<Block>& to,
                        const std::vector<Block>& from) {
    ncclResult_t code = ncclGroupStart();
    for (int r = 0; r < size_ && code == ncclSuccess; ++r) {
      if (to[r].bytes > 0) {
        code = ncclSend(to[r].data, to[r].bytes, ncclUint8, r, comm_, stream_);
      }
      if (from[r].bytes > 0 && (code == ncclSuccess || code == ncclInProgress)) {
        code = ncclRecv(from[r].data, from[r].bytes, ncclUint8, r, comm_, stream_);
      }
      if (code == ncclInProgress) code = ncclSuccess;
    }
    const ncclResult_t end = ncclGroupEnd();
    return End(operation, code == ncclSuccess ? end : code);
  }

  template <typename T, typename Axpy>
  absl::Status Sum(absl::Span<T> x, Axpy add) {
    PONDER_RETURN_IF_ERROR(Begin());
    OnDevice all;
    PONDER_RETURN_IF_ERROR(all.Bind(x.data(), x.size() * sizeof(T), /*copy_in=*/true));
    DeviceBytes terms;  // [size, my slice]
    const int64_t total = x.size();
    const int64_t largest_slice = std::min(total, kSumAtOnce) / size_ + 1;
    PONDER_RETURN_IF_ERROR(terms.Allocate(largest_slice * size_ * sizeof(T)));
    for (int64_t at = 0; at < total; at += kSumAtOnce) {
      const std::vector<Block> slices =
          Slices(all.data() + at * sizeof(T), std::min(total - at, kSumAtOnce), sizeof(T));
      const Block& mine = slices[rank_];
      const int64_t n = mine.bytes / sizeof(T);
      PONDER_RETURN_IF_ERROR(
          Exchange("AllReduceSum", slices, Slices(terms.data(), n * size_, sizeof(T))));
      const T* term = reinterpret_cast<const T*>(terms.data());
      T* sum = reinterpret_cast<T*>(mine.data);
      PONDER_RETURN_IF_ERROR(CudaStatus(
          cudaMemcpyAsync(sum, term, mine.bytes, cudaMemcpyDeviceToDevice, stream_), "cudaMemcpy"));
      for (int r = 1; r < size_ && n > 0; ++r) {
        if (add(static_cast<int>(n), term + r * n, sum) != CUBLAS_STATUS_SUCCESS) {
          return Fail(absl::AbortedError("AllReduceSum: cuBLAS failed to add"));
        }
      }
      PONDER_RETURN_IF_ERROR(Exchange("AllReduceSum", std::vector<Block>(size_, mine), slices));
    }
    return all.CopyOut();
  }

  absl::Status Fail(const absl::Status& why) {
    if (failure_.ok()) failure_ = why;
    if (comm_ != nullptr) ncclCommAbort(comm_);
    comm_ = nullptr;
    return failure_;
  }

  // Waits until `done` says so, or NCCL reports an error, or the time is over: then ends the group,
  // which also ends what runs on the device.
  absl::Status WaitFor(absl::string_view operation,
                       const std::function<absl::StatusOr<bool>()>& done) {
    absl::StatusOr<bool> finished = false;
    const bool in_time = PollUntil(SteadyNow() + options_.timeout, [&finished, &done] {
      finished = done();
      return finished.ok() && !*finished;
    });
    if (!finished.ok()) return Fail(finished.status());
    if (in_time) return absl::OkStatus();
    return Fail(absl::DeadlineExceededError(absl::StrCat(operation, ": not all of the ", size_,
                                                         " ranks answered rank ", rank_, " within ",
                                                         absl::FormatDuration(options_.timeout))));
  }

  // A call that NCCL goes on with in the background is through.
  absl::Status Settle(absl::string_view operation) {
    return WaitFor(operation, [this, operation]() -> absl::StatusOr<bool> {
      ncclResult_t state = ncclSuccess;
      PONDER_RETURN_IF_ERROR(NcclStatus(ncclCommGetAsyncError(comm_, &state), operation));
      PONDER_RETURN_IF_ERROR(NcclStatus(state, operation));
      return state == ncclSuccess;
    });
  }

  // What was queued on the stream is through.
  absl::Status End(absl::string_view operation, ncclResult_t code) {
    const absl::Status queued = NcclStatus(code, operation);
    if (!queued.ok()) return Fail(queued);
    PONDER_RETURN_IF_ERROR(Settle(operation));
    return WaitFor(operation, [this, operation]() -> absl::StatusOr<bool> {
      ncclResult_t state = ncclSuccess;
      PONDER_RETURN_IF_ERROR(NcclStatus(ncclCommGetAsyncError(comm_, &state), operation));
      PONDER_RETURN_IF_ERROR(NcclStatus(state, operation));
      const cudaError_t stream = cudaStreamQuery(stream_);
      if (stream == cudaErrorNotReady) return false;
      PONDER_RETURN_IF_ERROR(CudaStatus(stream, operation));
      return true;
    });
  }

  const int rank_;
  const int size_;
  const int device_;
  const GroupOptions options_;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
  ncclComm_t comm_ = nullptr;
  absl::Status failure_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Group>> MakeNcclGroup(Group& bootstrap,
                                                     const GroupOptions& options) {
  // Has everybody a device? Agreed on first, so that nobody waits for one that hasn't.
  struct Entry {
    bool ready;
    ncclUniqueId id;
  };
  Entry mine{};
  int device = 0;
  mine.ready = cudaGetDevice(&device) == cudaSuccess && cudaFree(nullptr) == cudaSuccess &&
               ncclGetUniqueId(&mine.id) == ncclSuccess;
  std::vector<Entry> entries(bootstrap.size());
  PONDER_RETURN_IF_ERROR(bootstrap.AllGather(
      {reinterpret_cast<const uint8_t*>(&mine), sizeof(mine)},
      {reinterpret_cast<uint8_t*>(entries.data()), entries.size() * sizeof(Entry)}));
  std::vector<int> without;
  for (int r = 0; r < bootstrap.size(); ++r) {
    if (!entries[r].ready) without.push_back(r);
  }
  if (!without.empty()) {
    return absl::UnavailableError(absl::StrCat(
        "no usable CUDA device on rank ", absl::StrJoin(without, ", "), " of ", bootstrap.size()));
  }
  auto group = std::make_unique<NcclGroup>(bootstrap.rank(), bootstrap.size(), device, options);
  PONDER_RETURN_IF_ERROR(Annotate(group->Connect(entries[0].id), "NCCL"));
  return group;
}

}  // namespace ponder::comm
