#include "actor/server/listener.h"

#include "absl/strings/str_cat.h"
#include "actor/server/text_stream.h"

namespace ponder::actor {

void Answer(const ApiError& error, httplib::Response& response) {
  response.status = error.http_status;
  if (error.http_status == 429) response.set_header("Retry-After", "1");
  AnswerJson(ErrorJson(error), response);
}

void AnswerJson(const std::string& body, httplib::Response& response) {
  response.set_content(body, "application/json");
}

void AddMetric(const char* name, const char* type, const char* help, int64_t value,
               std::string* page) {
  absl::StrAppend(page, "# HELP ponder_", name, " ", help, "\n# TYPE ponder_", name, " ", type,
                  "\nponder_", name, " ", value, "\n");
}

Listener::~Listener() {
  Stop();
  Wait();
}

absl::Status Listener::Start(const ServerOptions& options) {
  new_task_queue = [n = options.connections] {
    return new httplib::ThreadPool(static_cast<size_t>(n));
  };
  set_payload_max_length(static_cast<size_t>(options.max_body));
  set_tcp_nodelay(true);
  set_keep_alive_timeout(5);
  set_read_timeout(10);
  set_write_timeout(10);
  Get("/health", [](const httplib::Request&, httplib::Response& response) {
    AnswerJson("{\"status\":\"ok\"}", response);
  });
  set_error_handler([](const httplib::Request& request, httplib::Response& response) {
    if (!response.body.empty()) return;
    ApiError error{response.status, "", ""};
    if (error.http_status == 404) {
      error.message = absl::StrCat("there is no ", request.method, " ", ToUtf8(request.path));
    } else if (error.http_status == 413) {
      error.message = "the body is too large";
    } else {
      error.message = "the request could not be read";
    }
    Answer(error, response);
  });
  set_exception_handler([](const auto&, httplib::Response& response, std::exception_ptr) {
    Answer({500, "internal error", ""}, response);
  });
  if (options.port == 0) {
    port_ = bind_to_any_port(options.host);
  } else {
    port_ = bind_to_port(options.host, options.port) ? options.port : -1;
  }
  if (port_ <= 0) {
    return absl::UnavailableError(
        absl::StrCat("can't listen on ", options.host, ":", options.port,
                     "; is another server there, or is the address not ours?"));
  }
  // The library asks the kernel to hold five connections that are not accepted yet; more would have
  // to call again.
  ::listen(svr_sock_, 1024);
  thread_ = std::thread([this] { listen_after_bind(); });
  while (!is_running()) std::this_thread::yield();
  return absl::OkStatus();
}

void Listener::Wait() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace ponder::actor
