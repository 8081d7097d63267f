#include "verifier/workers.h"

#include <optional>
#include <utility>

namespace ponder::verifier {

Workers::Workers(const Options& options) : queue_(options.queue_capacity) {
  for (int i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this] {
      while (std::optional<std::function<void()>> work = queue_.Pop()) (*work)();
    });
  }
}

Workers::~Workers() {
  queue_.Close();
  for (std::thread& thread : threads_) thread.join();
}

}  // namespace ponder::verifier
