/* A library that is only its name. */
extern const int empty_library;
const int empty_library = 0;
