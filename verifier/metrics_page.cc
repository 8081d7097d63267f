#include "verifier/metrics_page.h"

#include <httplib.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "verifier/host_port.h"

namespace ponder::verifier {

struct MetricsPage::Http {
  httplib::Server server;
  std::thread thread;
};

MetricsPage::MetricsPage() : http_(std::make_unique<Http>()) {}

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(const std::string& listen,
                                                                std::function<std::string()> page) {
  PONDER_ASSIGN_OR_RETURN(const HostPort at, ParseHostPort(listen));
  std::unique_ptr<MetricsPage> made(new MetricsPage());
  httplib::Server& server = made->http_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(1); };
  // One thread: a reader that goes on must not keep the others out.
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(2);
  server.set_write_timeout(2);
  // Without the library's SO_REUSEPORT a port that is in use is an error.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.Get("/metrics",
             [page = std::move(page)](const httplib::Request&, httplib::Response& response) {
               response.set_content(page(), "text/plain; version=0.0.4");
             });
  int port = at.port;
  if (port == 0) {
    port = server.bind_to_any_port(at.host.c_str());
  } else if (!server.bind_to_port(at.host.c_str(), port)) {
    port = -1;
  }
  if (port <= 0) return CantListen(listen);
  made->address_ = absl::StrCat(at.host, ":", port);
  made->http_->thread = std::thread([&server] { server.listen_after_bind(); });
  return made;
}

MetricsPage::~MetricsPage() {
  if (!http_->thread.joinable()) return;
  // stop() before the thread listens would be lost.
  while (!http_->server.is_running()) std::this_thread::yield();
  http_->server.stop();
  http_->thread.join();
}

}  // namespace ponder::verifier
