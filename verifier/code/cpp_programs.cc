#include "verifier/code/cpp_programs.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace ponder::verifier {
namespace {

// Needs <bits/stdc++.h>. Values are written by their static type, and read into one.
constexpr absl::string_view kWire = R"cpp(
#include <unistd.h>
  namespace ponder_wire {
  struct Mismatch {};  // a value of another type
  struct Lost {};      // the other process is gone
  template <class T, template <class...> class C>
  struct Is : std::false_type {};
  template <template <class...> class C, class... A>
  struct Is<C<A...>, C> : std::true_type {};
  template <class T>
  constexpr bool kList = Is<T, std::vector>() || Is<T, std::list>() || Is<T, std::deque>();
  template <class T>
  constexpr bool kSet = Is<T, std::set>() || Is<T, std::unordered_set>() || Is<T, std::multiset>();
  template <class T>
  constexpr bool kMap = Is<T, std::map>() || Is<T, std::unordered_map>();
  template <class T>
  constexpr bool kTuple = Is<T, std::tuple>() || Is<T, std::pair>();
  template <class T>
  constexpr bool kChar = std::is_same_v<T, char>;

  inline void PutText(std::string& out, const std::string& text) {
    out += "s" + std::to_string(text.size()) + ":" + text;
  }
  template <class T>
  void Put(std::string& out, const T& value) {
    if constexpr (std::is_same_v<T, bool>)
      out += value ? 'T' : 'F';
    else if constexpr (kChar<T>)
      PutText(out, std::string(1, value));
    else if constexpr (std::is_integral_v<T>)
      out += "i" + std::to_string(value) + ";";
    else if constexpr (std::is_floating_point_v<T>) {
      char text[64];
      snprintf(text, sizeof(text), "f%.17g;", static_cast<double>(value));
      out += text;
    } else if constexpr (std::is_convertible_v<const T&, std::string>)
      PutText(out, value);
    else if constexpr (std::is_same_v<T, std::nullopt_t> || std::is_same_v<T, std::monostate>)
      out += 'N';
    else if constexpr (Is<T, std::optional>()) {
      if (value)
        Put(out, *value);
      else
        out += 'N';
    } else if constexpr (kMap<T>) {
      out += "d" + std::to_string(value.size()) + ":";
      for (const auto& [k, v] : value) {
        Put(out, k);
        Put(out, v);
      }
    } else if constexpr (kTuple<T>) {
      out += "t" + std::to_string(std::tuple_size_v<T>) + ":";
      std::apply([&](const auto&... item) { (Put(out, item), ...); }, value);
    } else if constexpr (kList<T> || kSet<T>) {
      out += (kSet<T> ? "e" : "l") + std::to_string(value.size()) + ":";
      for (const auto& item : value) Put<typename T::value_type>(out, item);
    } else if constexpr (std::is_array_v<T>) {
      out += "l" + std::to_string(std::size(value)) + ":";
      for (const auto& item : value) Put(out, item);
    } else
      out += "x1:?";
  }

  struct Value {
    char tag = 'N';
    std::string text;
    std::vector<Value> items;
  };
  class Parser {
   public:
    explicit Parser(const std::string& data) : data_(data) {}
    Value Parse(int depth = 0) {
      if (at_ >= data_.size() || depth > 200) throw Mismatch();
      Value value;
      value.tag = data_[at_++];
      if (strchr("NTF", value.tag)) return value;
      if (value.tag == 'i' || value.tag == 'f') {
        value.text = Until(';');
        return value;
      }
      const std::string digits = Until(':');
      if (digits.empty() || digits.size() > 9 ||
          digits.find_first_not_of("0123456789") != digits.npos)
        throw Mismatch();
      const size_t size = std::stoul(digits);
      if (size > data_.size()) throw Mismatch();
      if (strchr("sbx", value.tag)) {
        if (at_ + size > data_.size()) throw Mismatch();
        value.text = data_.substr(at_, size);
        at_ += size;
      } else if (strchr("ltezd", value.tag)) {
        for (size_t i = 0; i < size * (value.tag == 'd' ? 2 : 1); ++i)
          value.items.push_back(Parse(depth + 1));
      } else
        throw Mismatch();
      return value;
    }

   private:
    std::string Until(char mark) {
      const size_t end = data_.find(mark, at_);
      if (end == data_.npos) throw Mismatch();
      std::string text = data_.substr(at_, end - at_);
      at_ = end + 1;
      return text;
    }
    const std::string& data_;
    size_t at_ = 0;
  };

  inline void Expect(bool fits) {
    if (!fits) throw Mismatch();
  }
  template <class T>
  T Get(const Value& value);
  template <class T, size_t... I>
  T GetTuple(const Value& value, std::index_sequence<I...>) {
    return T(Get<std::decay_t<std::tuple_element_t<I, T>>>(value.items[I])...);
  }
  template <class T>
  T Get(const Value& value) {
    if constexpr (std::is_same_v<T, bool>) {
      Expect(value.tag == 'T' || value.tag == 'F');
      return value.tag == 'T';
    } else if constexpr (kChar<T>) {
      Expect(value.tag == 's' && value.text.size() == 1);
      return value.text[0];
    } else if constexpr (std::is_integral_v<T>) {
      Expect(value.tag == 'i' && !value.text.empty());
      T number{};
      const auto [end, error] =
          std::from_chars(value.text.data(), value.text.data() + value.text.size(), number);
      Expect(error == std::errc() && end == value.text.data() + value.text.size());
      return number;
    } else if constexpr (std::is_floating_point_v<T>) {
      Expect((value.tag == 'f' || value.tag == 'i') && !value.text.empty());
      char* end = nullptr;
      const double number = std::strtod(value.text.c_str(), &end);
      Expect(*end == 0);
      return static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string>) {
      Expect(value.tag == 's');
      return value.text;
    } else if constexpr (Is<T, std::optional>()) {
      if (value.tag == 'N') return std::nullopt;
      return Get<typename T::value_type>(value);
    } else if constexpr (std::is_same_v<T, std::monostate>) {
      Expect(value.tag == 'N');
      return {};
    } else if constexpr (kTuple<T>) {
      Expect((value.tag == 't' || value.tag == 'l') && value.items.size() == std::tuple_size_v<T>);
      return GetTuple<T>(value, std::make_index_sequence<std::tuple_size_v<T>>());
    } else if constexpr (kMap<T>) {
      Expect(value.tag == 'd');
      T map;
      for (size_t i = 0; i < value.items.size(); i += 2) {
        map.emplace(Get<typename T::key_type>(value.items[i]),
                    Get<typename T::mapped_type>(value.items[i + 1]));
      }
      return map;
    } else if constexpr (kSet<T>) {
      Expect(value.tag == 'e' || value.tag == 'l');
      T set;
      for (const Value& item : value.items) set.insert(Get<typename T::value_type>(item));
      return set;
    } else if constexpr (kList<T>) {
      Expect(value.tag == 'l' || value.tag == 't');
      T list;
      for (const Value& item : value.items) list.push_back(Get<typename T::value_type>(item));
      return list;
    } else {
      throw Mismatch();
    }
  }

  inline std::string ReadExactly(int fd, size_t size) {
    std::string data(size, 0);
    for (size_t at = 0; at < size;) {
      const ssize_t got = ::read(fd, &data[at], size - at);
      if (got <= 0) throw Lost();
      at += got;
    }
    return data;
  }
  inline std::string Receive(int fd) {
    const std::string head = ReadExactly(fd, 8);
    char* end = nullptr;
    const unsigned long size = std::strtoul(head.c_str(), &end, 16);
    if (*end != 0 || size > (1u << 26)) throw Mismatch();
    return ReadExactly(fd, size);
  }
  inline void Send(int fd, const std::string& payload) {
    char head[9];
    snprintf(head, sizeof(head), "%08zx", payload.size());
    const std::string data = head + payload;
    for (size_t at = 0; at < data.size();) {
      const ssize_t put = ::write(fd, data.data() + at, data.size() - at);
      if (put <= 0) throw Lost();
      at += put;
    }
  }
  }  // namespace ponder_wire
)cpp";

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
      std::string reply;
      try {
        const std::string request = Receive(3);
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
      Send(4, reply);
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
  struct Function {
    const char* name;
    template <class... A>
    Reply operator()(const A&... argument) const {
      std::string request = "t3:";
      PutText(request, name);
      request += "l" + std::to_string(sizeof...(A)) + ":";
      (Put(request, argument), ...);
      request += "d0:";
      try {
        Send(4, request);
        const std::string reply = Receive(3);
        if (reply.empty() || reply[0] != 'o') _exit(74);
        const std::string payload = reply.substr(1);
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
                      "\n#undef main\n", kWire, kServe,
                      "int main() { signal(SIGPIPE, SIG_IGN); ponder_wire::Serve(", function,
                      "); _exit(0); }\n");
}

std::string CppDriverProgram(absl::string_view asserts, absl::string_view entry) {
  // MultiPL-E's tests begin with the brace that ends the function of its prompt.
  asserts.remove_prefix(std::min(asserts.find_first_not_of(" \t\r\n"), asserts.size()));
  absl::ConsumePrefix(&asserts, "}");
  return absl::StrCat("#undef NDEBUG\n#include <assert.h>\n", kWire, kDrive,
                      "static const ponder_wire::Function ", entry, "{\"", entry, "\"};\n", asserts,
                      "\n");
}

}  // namespace ponder::verifier
