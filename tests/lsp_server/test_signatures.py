"""What an outline shows of a file, language by language, line by line."""

from __future__ import annotations

import pytest

from polydraft.completion.syntax import languages
from polydraft.lsp_server.signatures import outline

PYTHON = '''
"""Doc."""
import os
from typing import Final

LIMIT: Final = 3
names: dict[str, list[int]] = {"a_rather_long_key": [1, 2, 3], "another": []}
__all__ = ["Stack"]
settings.debug = True
table["x"] = 1
type Pair = tuple[int, int]

@dataclass(frozen=True)
class Stack(Base, metaclass=Meta):
    """Doc."""
    items: list[int] = field(default_factory=list)
    size = 0

    def __init__(self, size: int, *, name: str = "x") -> None:
        """Doc."""
        super().__init__()
        self.name = name
        self.cells: list[int] = [0 for _ in range(size)]
        self.table[name] = 1

    @property
    def top(self) -> int:  # why
        return self.items[-1]

    @overload
    def find(self, key: int) -> int: ...
    @overload
    def find(self, key: str) -> str: ...

    async def push(
        self,
        item: int,  # why
        *rest: int,
    ) -> None:
        """Doc."""
        self.items.append(item)

    def __repr__(self) -> str:
        return "Stack"

    def _grow(self): pass

class Empty(Exception):
    """Doc."""

if sys.platform == "win32":
    def only_there(): ...
try:
    import fast
except ImportError:
    fast = None

def _hidden(): ...

if __name__ == "__main__":
    stack = Stack(3)
'''
PYTHON_OUTLINE = """\
LIMIT: Final = 3
names: dict[str, list[int]]
type Pair = tuple[int, int]
@dataclass(frozen=True)
class Stack(Base, metaclass=Meta):
    items: list[int] = field(default_factory=list)
    size = 0
    def __init__(self, size: int, *, name: str = "x") -> None:
        self.name = name
        self.cells: list[int] = [0 for _ in range(size)]
    top: int
    def find(self, key: int) -> int: ...
    async def push(self, item: int, *rest: int) -> None: ...
    def _grow(self): ...
class Empty(Exception): ...
def only_there(): ...
def _hidden(): ...
"""

TYPESCRIPT = """
import { B } from './b';
/** Doc. */
export default class Stack<T> extends Base implements Sized {
  private cells: T[] = [];
  static limit?: number;
  #hidden = 1;
  constructor(public name: string) { super(); this.cells = []; }
  get top(): T { return this.cells[0]; }
  @logged() async push(item: T, /* why */ rest?: T[]): Promise<void> { return; }
  handler = (event: Event) => { this.push(event); };
}
export interface Sized { size: number; fits(x: string): boolean }
export type Id = string | number;
export enum Colour { Red = 1, Green }
export const load = async (path: string): Promise<string> => { return path; };
const LIMIT = 3;
export function find(
  key: string,
  depth = 2,
): number { return depth; }
declare function native(x: string): void;
export namespace Tools { export const one = 1; }
export abstract class Shape { abstract area(): number }
"""
TYPESCRIPT_OUTLINE = """\
class Stack<T> extends Base implements Sized {
    static limit?: number
    constructor(public name: string);
    get top(): T;
    async push(item: T, rest?: T[]): Promise<void>;
    handler = (event: Event) => ...
}
interface Sized {
    size: number
    fits(x: string): boolean;
}
type Id = string | number;
enum Colour { Red = 1, Green }
const load = async (path: string): Promise<string> => ...
const LIMIT = 3;
function find(key: string, depth = 2): number;
function native(x: string): void;
const one = 1;
abstract class Shape {
    abstract area(): number;
}
"""

JAVASCRIPT = """
export class Stack extends Base {
  size = 0;
  constructor(name) { super(); this.name = name; if (name) { this.deep = 1; } }
  push(item) { this.items.push(item); }
  static of() { return new Stack(); }
}
const twice = (x) => x * 2;
function* walk(tree) { yield tree; }
"""
JAVASCRIPT_OUTLINE = """\
class Stack extends Base {
    size = 0
    constructor(name) {
        this.name = name
    }
    push(item);
    static of();
}
const twice = (x) => ...
function* walk(tree);
"""

GO = """
package stack

import "io"

// Doc.
type Stack struct {
	Items []int `json:"items"`
	a, b  string
	Base
}
type Reader interface {
	Read(n int) ([]byte, error)
	io.Closer
}
type ID = string
type Visit func(int) bool

func (s *Stack) Push(item int) error { return nil }
func (l List[T]) Len() int { return 0 }
func New(items ...int) *Stack { return &Stack{} }

const (
	First = iota
	Second
)
var limit, rest int = 1, 2
"""
GO_OUTLINE = """\
type Stack struct {
    Items []int
    a, b string
    Base
}
type Reader interface {
    Read(n int) ([]byte, error)
    io.Closer
}
type ID = string
type Visit func(int) bool
func (s *Stack) Push(item int) error
func (l List[T]) Len() int
func New(items ...int) *Stack
const First = iota
const Second
var limit, rest int = 1, 2
"""

RUST = """
use std::fmt;
#[derive(Debug)]
pub struct Stack<T> { pub items: Vec<T>, size: usize }
pub struct Metres(pub f64);
pub enum Shape { Point, Circle(f64), Square { side: f64 } }
pub trait Sized2: Base { fn size(&self) -> usize; fn twice(&self) -> usize { 2 } type Out; }
impl<T> Stack<T> { pub fn new(size: usize) -> Self { todo!() } pub const LIMIT: usize = 3; }
impl Sized2 for Metres { fn size(&self) -> usize { 1 } }
pub const LIMIT: i32 = 1;
pub type Result2 = Result<i32>;
pub fn find<T: Ord>(key: T) -> i32 where T: Copy { 1 }
pub mod inner { pub fn deep() {} }
#[cfg(test)]
mod tests { fn helper() {} }
"""
RUST_OUTLINE = """\
pub struct Stack<T> {
    pub items: Vec<T>
    size: usize
}
pub struct Metres(pub f64);
pub enum Shape { Point, Circle(f64), Square { side: f64 } }
pub trait Sized2: Base {
    fn size(&self) -> usize;
    fn twice(&self) -> usize;
    type Out;
}
impl<T> Stack<T> {
    pub fn new(size: usize) -> Self;
    pub const LIMIT: usize = 3;
}
impl Sized2 for Metres {
    fn size(&self) -> usize;
}
pub const LIMIT: i32 = 1;
pub type Result2 = Result<i32>;
pub fn find<T: Ord>(key: T) -> i32 where T: Copy;
pub fn deep();
"""

JAVA = """
package a.b;
@Service
public abstract class Stack<T> extends Base implements Sized {
  private int hidden = 1;
  public static final int LIMIT = 3;
  @Inject public Stack(int size) { this.size = size; }
  @Override public String find(int key, List<String> names) throws Missing { return ""; }
  abstract void grow();
  enum Colour { RED, GREEN }
  interface Visitor { void visit(); default void leave() {} }
}
record Pair(int left, String right) { int sum() { return left; } }
"""
JAVA_OUTLINE = """\
public abstract class Stack<T> extends Base implements Sized {
    public static final int LIMIT = 3;
    public Stack(int size);
    public String find(int key, List<String> names) throws Missing;
    abstract void grow();
    enum Colour { RED, GREEN }
    interface Visitor {
        void visit();
        default void leave();
    }
}
record Pair(int left, String right) {
    int sum();
}
"""

C = """
#ifndef STACK_H
#define STACK_H
#include "base.h"
#define LIMIT 10
#define TWICE(x) ((x) * 2)
typedef struct { int size; char *name; } stack;
struct node { struct node *next; };
enum colour { RED, GREEN = 2 };
int push(stack *s, int item);
static inline int *top(stack *s) { return 0; }
extern int depth;
typedef int (*visit)(int);
#endif
"""
C_OUTLINE = """\
#define LIMIT 10
#define TWICE(x)
typedef struct {
    int size;
    char *name;
} stack;
struct node {
    struct node *next;
}
enum colour { RED, GREEN = 2 }
int push(stack *s, int item);
static inline int *top(stack *s);
extern int depth;
typedef int (*visit)(int);
"""

CPP = """
#pragma once
namespace shapes {
template <typename T> class Stack : public Base {
  int hidden;
public:
  Stack(int size) : size_(size) { }
  int find(int key) const { return 1; }
  virtual void grow() = 0;
  static constexpr int limit = 1;
private:
  int size_;
};
template <class T> T twice(T x) { return x; }
using Id = int;
struct Pair { int left; void swap(); };
}
extern "C" { int raw(int); }
"""
CPP_OUTLINE = """\
template <typename T> class Stack : public Base {
    Stack(int size);
    int find(int key) const;
    virtual void grow() = 0;
    static constexpr int limit = 1;
}
template <class T> T twice(T x);
using Id = int;
struct Pair {
    int left;
    void swap();
}
int raw(int);
"""


def shown(text: str, language: str) -> str:
    return "".join(definition.text() for definition in outline(text, language))


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("python", PYTHON, PYTHON_OUTLINE),
        ("typescript", TYPESCRIPT, TYPESCRIPT_OUTLINE),
        ("typescriptreact", TYPESCRIPT, TYPESCRIPT_OUTLINE),
        ("javascript", JAVASCRIPT, JAVASCRIPT_OUTLINE),
        ("go", GO, GO_OUTLINE),
        ("rust", RUST, RUST_OUTLINE),
        ("java", JAVA, JAVA_OUTLINE),
        ("c", C, C_OUTLINE),
        ("cpp", CPP, CPP_OUTLINE),
    ],
)
def test_outlines(language: str, text: str, expected: str) -> None:
    assert shown(text, language) == expected


def test_definitions_are_found_by_the_name_they_are_imported_by() -> None:
    names = [definition.name for definition in outline(GO, "go")]
    # A method and an `impl` belong to the type.
    assert names == ["Stack", "Reader", "ID", "Visit", "Stack", "List", "New", "First", "Second",
                     "limit"]  # fmt: skip
    assert [d.name for d in outline(RUST, "rust")][:7] == [
        "Stack", "Metres", "Shape", "Sized2", "Stack", "Metres", "LIMIT"
    ]  # fmt: skip
    assert [d.name for d in outline(C, "c")] == [
        "LIMIT", "TWICE", "stack", "node", "colour", "push", "top", "depth", "visit"
    ]  # fmt: skip
    assert "Tools" not in {d.name for d in outline(TYPESCRIPT, "typescript")}


def test_a_long_python_signature_keeps_the_names_of_its_parameters() -> None:
    parameters = ", ".join(f"parameter_{n}: dict[str, int] | None = None" for n in range(6))
    source = f"class A:\n    async def run(self, *, {parameters}, **rest: int) -> Answer: ...\n"
    names = ", ".join(f"parameter_{n}" for n in range(6))
    assert shown(source, "python") == (
        f"class A:\n    async def run(self, *, {names}, **rest) -> Answer: ...\n"
    )


def test_other_languages_have_no_outline() -> None:
    assert outline("function f() end", "lua") == ()
    assert outline("x", "") == ()


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize(
    "text",
    [
        "",
        "((((((" * 3000,
        "namespace a { class B { " * 3000,
        "class A:\n" + "".join(f"{' ' * n}class B{n}:\n" for n in range(1, 200)),
        "int " + "*" * 20_000 + "x;",
        "func () M() {}\nfunc ( ) N() {}\nimpl {}\ntype = {",
        "def (:\n\x00\n\udc80 = 1\nclass é(ü): ß: int = 1",
        "export " * 5000 + "= => } {",
    ],
    ids=["empty", "open", "nested", "deep", "pointers", "nameless", "odd", "exports"],
)
def test_no_text_breaks_it(language: str, text: str) -> None:
    for definition in outline(text, language):
        assert definition.text().endswith("\n")
