// What ThreadSanitizer must know about Abseil's locks. Debian's Abseil is built without it, so that
// it sees neither who locks nor who waits, and takes everything that an absl::Mutex guards for a
// race. In the tsan preset the linker sends our calls through these wrappers (--wrap in
// PonderModule.cmake), which tell it: an unlock happens before the next lock. The names are those
// of Debian's Abseil 20220623, whose inline namespace is debian3.
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define REAL(name) PASTE(__real_, name)
#define WRAP(name) PASTE(__wrap_, name)

// Inside Abseil a thread also evaluates the conditions that others wait for. It may, since it holds
// the lock; but in the eyes of ThreadSanitizer it has let go of it by then.
#define IN_ABSEIL(...)                          \
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__); \
  __VA_ARGS__;                                  \
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__)

#define LOCKS(name)           \
  void REAL(name)(void* mu);  \
  void WRAP(name)(void* mu) { \
    REAL(name)(mu);           \
    __tsan_acquire(mu);       \
  }

#define UNLOCKS(name)          \
  void REAL(name)(void* mu);   \
  void WRAP(name)(void* mu) {  \
    __tsan_release(mu);        \
    IN_ABSEIL(REAL(name)(mu)); \
  }

#define AWAITS(name)                                        \
  void REAL(name)(void* mu, const absl::Condition& until);  \
  void WRAP(name)(void* mu, const absl::Condition& until) { \
    __tsan_release(mu);                                     \
    IN_ABSEIL(REAL(name)(mu, until));                       \
    __tsan_acquire(mu);                                     \
  }

#define AWAITS_WITH(name, Limit)                                         \
  bool REAL(name)(void* mu, const absl::Condition& until, Limit limit);  \
  bool WRAP(name)(void* mu, const absl::Condition& until, Limit limit) { \
    __tsan_release(mu);                                                  \
    IN_ABSEIL(const bool met = REAL(name)(mu, until, limit));            \
    __tsan_acquire(mu);                                                  \
    return met;                                                          \
  }

// absl::CondVar: `mu` is free while it waits.
#define CONDVAR_WAITS(name)             \
  void REAL(name)(void* cv, void* mu);  \
  void WRAP(name)(void* cv, void* mu) { \
    __tsan_release(mu);                 \
    IN_ABSEIL(REAL(name)(cv, mu));      \
    __tsan_acquire(mu);                 \
  }

#define CONDVAR_WAITS_WITH(name, Limit)                     \
  bool REAL(name)(void* cv, void* mu, Limit limit);         \
  bool WRAP(name)(void* cv, void* mu, Limit limit) {        \
    __tsan_release(mu);                                     \
    IN_ABSEIL(const bool late = REAL(name)(cv, mu, limit)); \
    __tsan_acquire(mu);                                     \
    return late;                                            \
  }

#define NOTIFIES(name)                  \
  void REAL(name)(void* notification);  \
  void WRAP(name)(void* notification) { \
    __tsan_release(notification);       \
    REAL(name)(notification);           \
  }

#define IS_NOTIFIED_WITH(name, Limit)                      \
  bool REAL(name)(void* notification, Limit limit);        \
  bool WRAP(name)(void* notification, Limit limit) {       \
    const bool notified = REAL(name)(notification, limit); \
    __tsan_acquire(notification);                          \
    return notified;                                       \
  }

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);

LOCKS(_ZN4absl7debian35Mutex4LockEv)
LOCKS(_ZN4absl7debian35Mutex10ReaderLockEv)
UNLOCKS(_ZN4absl7debian35Mutex6UnlockEv)
UNLOCKS(_ZN4absl7debian35Mutex12ReaderUnlockEv)
AWAITS(_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE)
AWAITS_WITH(_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE,
            absl::Duration)
AWAITS_WITH(_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE, absl::Time)
CONDVAR_WAITS(_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE)
CONDVAR_WAITS_WITH(_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE,
                   absl::Duration)
CONDVAR_WAITS_WITH(_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE, absl::Time)
NOTIFIES(_ZN4absl7debian312Notification6NotifyEv)
LOCKS(_ZNK4absl7debian312Notification19WaitForNotificationEv)
IS_NOTIFIED_WITH(_ZNK4absl7debian312Notification30WaitForNotificationWithTimeoutENS0_8DurationE,
                 absl::Duration)
IS_NOTIFIED_WITH(_ZNK4absl7debian312Notification31WaitForNotificationWithDeadlineENS0_4TimeE,
                 absl::Time)
}  // extern "C"
