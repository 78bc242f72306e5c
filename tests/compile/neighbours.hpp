// SPDX-License-Identifier: MIT
// tests/compile/neighbours.hpp: the macros of headers that heed may be included behind
//
// Each name below is a macro after some widely used header. Here it stands for a token that no grammar takes,
// so any use of the name in a heed header is an error. The standard headers and Eigen's come first: what they
// do with these names is not heed's to mend. Names that are macros only when followed by "(" are so here too.
#pragma once

// <complex.h> in a GNU dialect, CMake's default
#define I @
#define complex @
#define imaginary @

// Qt without QT_NO_KEYWORDS
#define slots @
#define signals @
#define emit @
#define foreach(...) @
#define forever @

// <windows.h> without NOMINMAX and WIN32_LEAN_AND_MEAN, and what it includes
#define min(...) @
#define max(...) @
#define small @
#define near @
#define far @
#define hyper @
#define interface @
#define ERROR @
#define NO_ERROR @
#define DELETE @
#define IN @
#define OUT @
#define OPTIONAL @
#define CONST @
#define VOID @
#define STRICT @
#define TRUE @
#define FALSE @
#define ABSOLUTE @
#define RELATIVE @
#define OPAQUE @
#define TRANSPARENT @
#define THIS @
#define THIS_ @
#define PURE @
#define pascal @
#define cdecl @
#define CALLBACK @
#define WINAPI @
#define GetObject @
#define GetMessage @
#define CreateWindow @
#define DrawText @
#define LoadImage @
#define SendMessage @
#define GetCurrentTime() @
#define rad1 @
#define rad2 @
#define grp1 @
#define chx1 @
#define stc1 @

// X11/Xlib.h, X.h and Xutil.h
#define Above @
#define Below @
#define None @
#define Bool @
#define Status @
#define Success @
#define Always @
#define Never @
#define True @
#define False @
#define Complex @
#define Convex @
#define Nonconvex @
#define Unsorted @
#define YSorted @
#define CursorShape @
#define CurrentTime @
#define FocusIn @
#define FocusOut @
#define GrayScale @
#define KeyPress @
#define KeyRelease @
#define Expose @
#define Opposite @
#define Absolute @
#define Relative @
#define Bottom @
#define Top @
#define Left @
#define Right @
#define BadValue @
#define BadMatch @
#define BadAlloc @

// <curses.h>: macros in C++ too (clear, erase, move, refresh and box are taken back there)
#define OK @
#define ERR @
#define getch() @
#define addch(...) @
#define addstr(...) @
#define insch(...) @
#define delch() @
#define border(...) @
#define scroll(...) @
#define hline(...) @
#define vline(...) @
#define inch() @
#define instr(...) @
#define setscrreg(...) @
#define timeout(...) @
#define standout() @
#define standend() @
#define attrset(...) @
#define attron(...) @
#define attroff(...) @
#define bkgd(...) @
#define stdscr @
#define LINES @
#define COLS @
#define COLORS @
#define WINDOW @

// Arduino.h, binary.h and avr/pgmspace.h
#define F(...) @
#define PI @
#define HALF_PI @
#define TWO_PI @
#define EULER @
#define HIGH @
#define LOW @
#define INPUT @
#define OUTPUT @
#define DEFAULT @
#define EXTERNAL @
#define INTERNAL @
#define SERIAL @
#define DISPLAY @
#define CHANGE @
#define RISING @
#define FALLING @
#define LSBFIRST @
#define MSBFIRST @
#define B0 @
#define B1 @
#define B00 @
#define B01 @
#define B10 @
#define B11 @
#define abs(...) @
#define round(...) @
#define sq(...) @
#define constrain(...) @
#define radians(...) @
#define degrees(...) @
#define interrupts() @
#define noInterrupts() @
#define lowByte(...) @
#define highByte(...) @
#define bitRead(...) @
#define bitSet(...) @
#define bitClear(...) @
#define bitToggle(...) @
#define bitWrite(...) @
#define bit(...) @
#define _BV(...) @
#define PROGMEM @
#define boolean @
#define word(...) @

// Others seen in the field: Objective-C and Apple's AssertMacros.h, <sys/sysmacros.h>, GNU's predefined
// names, MFC
#define nil @
#define Nil @
#define YES @
#define NO @
#define check(...) @
#define verify(...) @
#define require(...) @
#define major(...) @
#define minor(...) @
#define makedev(...) @
#undef linux
#undef unix
#define linux @
#define unix @
#define i386 @
#define DEBUG @
#define LOG @
#define LOG_ERROR @
#define CHECK(...) @
#define ASSERT(...) @
#define VERIFY(...) @
#define TRACE @
#define BLOCK_SIZE @
#define PAGE_SIZE @
