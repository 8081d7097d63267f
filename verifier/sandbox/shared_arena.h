// Memory that the service lays out a jail's plan in, and that the jail's processes see at the same
// address (they come from a process that was forked after it was mapped).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace ponder::verifier {

// A machine, not thread-safe. What it gives out holds until Clear.
class SharedArena {
 public:
  SharedArena() = default;
  ~SharedArena();
  SharedArena(const SharedArena&) = delete;
  SharedArena& operator=(const SharedArena&) = delete;

  // Takes up address space alone, until it is written to. ResourceExhausted.
  absl::Status Map(size_t bytes);
  // Gives large pieces of memory back to the system.
  void Clear();

  // Null: no room is left.
  void* Allocate(size_t bytes);
  template <typename T>
  T* Copy(const T* from, size_t count) {
    T* const to = static_cast<T*>(Allocate(count * sizeof(T)));
    if (to != nullptr) memcpy(to, from, count * sizeof(T));
    return to;
  }
  char* CopyText(absl::string_view text);  // with a zero behind it

 private:
  char* memory_ = nullptr;
  size_t bytes_ = 0, used_ = 0;
};

}  // namespace ponder::verifier
