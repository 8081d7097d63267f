#include "verifier/code/cpp_programs.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "verifier/code/cpp_wire.h"

namespace ponder::verifier {
namespace {

constexpr absl::string_view kServe = R"cpp(
  namespace ponder_wire {
  template <class R, class Function, class... A>
  std::string Answer(Function function, std::tuple<A...>& arguments) {
    std::string reply = "o";
    if constexpr (std::is_void_v<R>) {
      std::apply(function, arguments);
      if constexpr (sizeof...(A) > 0)
        Put(reply, std::get<0>(arguments));  // what it changed in place
      else
        reply += 'N';
    } else {
      Put<std::decay_t<R>>(reply, std::apply(function, arguments));
    }
    return reply;
  }
  template <class R, class... A, class Function>
  void ServeCalls(Function function) {
    while (true) {
      std::string question, reply;
      try {
        std::string request = Receive(3);
        question = request.substr(0, kQuestionBytes);
        request.erase(0, kQuestionBytes);
        const Value value = Parser(request).Parse();
        Expect(value.items.size() == 3);
        auto arguments = Get<std::tuple<std::decay_t<A>...>>(value.items[1]);
        reply = Answer<R>(function, arguments);
      } catch (const Lost&) {
        return;
      } catch (const Mismatch&) {
        reply = "et2:s9:TypeErrors21:arguments do not fit.";
      } catch (...) {
        reply = "et2:s12:RuntimeErrors9:exception";
      }
      Send(4, question + reply);
    }
  }
  template <class R, class... A>
  void Serve(R (*function)(A...)) {
    ServeCalls<R, A...>(function);
  }
  template <class C, class R, class... A>
  void Serve(R (C::*method)(A...)) {
    ServeCalls<R, A...>([method](auto&... a) -> R {
      C object;
      return (object.*method)(a...);
    });
  }
  template <class C, class R, class... A>
  void Serve(R (C::*method)(A...) const) {
    ServeCalls<R, A...>([method](auto&... a) -> R {
      C object;
      return (object.*method)(a...);
    });
  }
  }  // namespace ponder_wire
)cpp";

constexpr absl::string_view kDrive = R"cpp(
#include <signal.h>
  namespace ponder_wire {
  // What the answer returned: equal to a value of its type alone.
  class Reply {
   public:
    explicit Reply(Value value) : value_(std::move(value)) {}
    template <class T>
    bool operator==(const T& expected) const {
      if constexpr (std::is_convertible_v<const T&, std::string> && !std::is_same_v<T, std::string>) {
        return *this == std::string(expected);
      } else if constexpr (std::is_same_v<T, std::nullopt_t>) {
        return value_.tag == 'N';
      } else {
        try {
          const T got = Get<T>(value_);
          if constexpr (std::is_same_v<T, float>) {
            // A double that is no float equals none.
            if (static_cast<double>(got) != Get<double>(value_)) return false;
          }
          return got == expected;
        } catch (const Mismatch&) {
          return false;
        }
      }
    }
    template <class T>
    bool operator!=(const T& expected) const {
      return !(*this == expected);
    }
    operator double() const {
      try {
        return Get<double>(value_);
      } catch (const Mismatch&) {
        return std::nan("");
      }
    }

   private:
    Value value_;
  };
  // An answer that has ended is found by a failing write, not by a signal.
  inline const auto kIgnoresPipeSignal = signal(SIGPIPE, SIG_IGN);
  inline std::string NewQuestion() {
    std::random_device random;  // the system's, not to be foretold
    char text[kQuestionBytes + 1];
    snprintf(text, sizeof(text), "%08x%08x", random(), random());
    return text;
  }
  struct Function {
    const char* name;
    template <class... A>
    Reply operator()(const A&... argument) const {
      // Nobody answers before the question: a reply begins as its request did.
      const std::string question = NewQuestion();
      std::string request = question + "t3:";
      PutText(request, name);
      request += "l" + std::to_string(sizeof...(A)) + ":";
      (Put(request, argument), ...);
      request += "d0:";
      try {
        Send(4, request);
        const std::string reply = Receive(3);
        Expect(reply.compare(0, kQuestionBytes, question) == 0);
        if (reply[kQuestionBytes] != 'o') _exit(74);
        const std::string payload = reply.substr(kQuestionBytes + 1);
        return Reply(Parser(payload).Parse());
      } catch (const Lost&) {
        _exit(73);
      } catch (const Mismatch&) {
        abort();
      }
    }
  };
  }  // namespace ponder_wire
)cpp";

bool HasClassSolution(absl::string_view source) {
  return absl::StrContains(source, "class Solution") ||
         absl::StrContains(source, "struct Solution");
}

}  // namespace

std::string CppCallProgram(absl::string_view answer, absl::string_view entry) {
  const std::string function =
      absl::StrCat(HasClassSolution(answer) ? "&Solution::" : "&::", entry);
  return absl::StrCat("#define main ponder_answer_main\n#line 1 \"answer.cpp\"\n", answer,
                      "\n#undef main\n", CppWire(), kServe,
                      "int main() { signal(SIGPIPE, SIG_IGN); ponder_wire::Serve(", function,
                      "); _exit(0); }\n");
}

std::string CppDriverProgram(absl::string_view asserts, absl::string_view entry) {
  // MultiPL-E's tests begin with the brace that ends the function of its prompt.
  asserts.remove_prefix(std::min(asserts.find_first_not_of(" \t\r\n"), asserts.size()));
  absl::ConsumePrefix(&asserts, "}");
  return absl::StrCat("#undef NDEBUG\n#include <assert.h>\n", CppWire(), kDrive,
                      "static const ponder_wire::Function ", entry, "{\"", entry, "\"};\n", asserts,
                      "\n");
}

}  // namespace ponder::verifier
