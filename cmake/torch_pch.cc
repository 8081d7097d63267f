// Carries the precompiled header of LibTorch (see PonderModule.cmake).
