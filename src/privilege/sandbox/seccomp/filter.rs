//! Compiles filters of system calls to programs for the kernel (BPF).
//!
//! A program finds the number of a call by halving: seven comparisons for a hundred calls. Since Linux 5.11
//! the kernel also remembers which calls are allowed whatever their arguments are, and then runs no program.
//!
//! Crates for this do not know x32. On kernels with that ABI each call of x86_64 has a second number, which a
//! list of denied calls would have to repeat.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::offset_of;

use libc::{c_long, seccomp_data, sock_filter, sock_fprog};

/// A condition on an argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum If {
    /// The argument, masked, is this.
    Is(usize, u32, u32),
    /// The argument, a pointer, is not null.
    Given(usize),
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Allow,
    Fail(i32),
}

/// Answers a call when all conditions hold.
#[derive(Debug, Clone)]
pub struct Rule {
    call: c_long,
    when: Vec<If>,
    answer: Answer,
}

impl Rule {
    pub fn allow<const N: usize>(call: c_long, when: [If; N]) -> Self {
        Self { call, when: when.to_vec(), answer: Answer::Allow }
    }

    pub fn refuse<const N: usize>(call: c_long, when: [If; N], error: i32) -> Self {
        Self { call, when: when.to_vec(), answer: Answer::Fail(error) }
    }
}

/// What becomes of every call.
#[derive(Debug)]
pub struct Policy {
    /// The first rule about a call whose conditions hold decides.
    pub rules: Vec<Rule>,
    /// The answer where none does.
    pub otherwise: Answer,
    /// The answer to calls from a number on: those of newer kernels.
    pub newer: Option<(c_long, Answer)>,
}

impl Policy {
    /// How many calls it has rules about.
    pub fn calls(&self) -> usize {
        self.rules.iter().map(|rule| rule.call).collect::<BTreeSet<_>>().len()
    }
}

/// A compiled policy.
#[derive(Debug)]
pub struct Filter(Vec<sock_filter>);

/// `AUDIT_ARCH_*` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;

/// On x86_64, numbers from here on belong to x32. Other architectures have no numbers so high.
const X32: u32 = 0x4000_0000;
/// The number that a tracer sets for a call that is to be skipped.
const NO_CALL: u32 = u32::MAX;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// An operation of prctl(2) that no kernel knows, and the error with which our filter answers it.
const QUESTION: i32 = 0x6570_6361;
const ANSWER: i32 = libc::EOWNERDEAD;

impl Filter {
    /// Compiles a policy to a program that also denies every call of another ABI.
    pub fn new(policy: &Policy) -> Self {
        let mut program = vec![
            statement(LOAD, offset_of!(seccomp_data, arch)),
            branch(IF_EQUAL, ARCHITECTURE, 1, 0),
            give(Answer::Fail(libc::EPERM)),
            statement(LOAD, offset_of!(seccomp_data, nr)),
        ];
        program.append(&mut choose(&segments(policy)));
        Self(program)
    }

    /// Puts this process under the filter, for good.
    pub fn load(&mut self) -> io::Result<()> {
        let program = sock_fprog {
            len: u16::try_from(self.0.len()).map_err(io::Error::other)?,
            filter: self.0.as_mut_ptr(),
        };
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
        // SAFETY: the kernel copies the program, which lives until then, and checks it.
        match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether our filter is in force, whatever the kernel reported.
pub fn answers() -> bool {
    // SAFETY: without a filter this is an invalid argument; nothing is changed.
    let answer = unsafe { libc::prctl(QUESTION, 0, 0, 0, 0) };
    answer == -1 && io::Error::last_os_error().raw_os_error() == Some(ANSWER)
}

/// The program for the calls from a number on, up to the next segment.
type Segment = (u32, Vec<sock_filter>);

/// Divides all numbers into segments, in ascending order.
fn segments(policy: &Policy) -> Vec<Segment> {
    let question = Rule::refuse(libc::SYS_prctl, [If::Is(0, u32::MAX, QUESTION as u32)], ANSWER);
    let mut calls: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in [&question].into_iter().chain(&policy.rules) {
        calls.entry(rule.call as u32).or_default().push(rule);
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut add = |first: u32, program: Vec<sock_filter>| {
        // A call whose number follows that of another.
        if segments.last().is_some_and(|(last, _)| *last == first) {
            segments.pop();
        }
        if !segments.last().is_some_and(|(_, last)| is_same(last, &program)) {
            segments.push((first, program));
        }
    };
    add(0, vec![give(policy.otherwise)]);
    for (number, rules) in &calls {
        add(*number, of_one_call(rules, policy.otherwise));
        add(number + 1, vec![give(policy.otherwise)]);
    }
    if let Some((first, answer)) = policy.newer {
        add(first as u32, vec![give(answer)]);
    }
    add(X32, vec![give(Answer::Fail(libc::EPERM))]);
    add(NO_CALL, vec![give(Answer::Allow)]);
    segments
}

/// Finds the segment of a number.
fn choose(segments: &[Segment]) -> Vec<sock_filter> {
    if let [(_, program)] = segments {
        return program.clone();
    }
    let (lower, upper) = segments.split_at(segments.len() / 2);
    let first = upper[0].0;
    let (mut lower, mut upper) = (choose(lower), choose(upper));
    let mut program = match u8::try_from(lower.len()) {
        Ok(skipped) => vec![branch(IF_AT_LEAST, first, skipped, 0)],
        Err(_) => vec![branch(IF_AT_LEAST, first, 0, 1), statement(JUMP, lower.len())],
    };
    program.append(&mut lower);
    program.append(&mut upper);
    program
}

fn is_same(one: &[sock_filter], other: &[sock_filter]) -> bool {
    let all = |program: &[sock_filter]| -> Vec<_> {
        program.iter().map(|step| (step.code, step.jt, step.jf, step.k)).collect()
    };
    all(one) == all(other)
}

/// Decides about one call by all rules about it.
fn of_one_call(rules: &[&Rule], otherwise: Answer) -> Vec<sock_filter> {
    let mut body = Vec::new();
    for rule in rules {
        // Built from the last condition to the first: each jumps over what follows where it does not hold.
        let mut tested = vec![give(rule.answer)];
        for condition in rule.when.iter().rev() {
            let mut next = test(*condition, length(&tested));
            next.append(&mut tested);
            tested = next;
        }
        body.append(&mut tested);
        if rule.when.is_empty() {
            return body;
        }
    }
    body.push(give(otherwise));
    body
}

/// Continues where the condition holds; otherwise skips `skipped` instructions.
fn test(condition: If, skipped: u8) -> Vec<sock_filter> {
    match condition {
        If::Is(argument, mask, value) => vec![
            statement(LOAD, argument_at(argument)),
            statement(AND, mask as usize),
            branch(IF_EQUAL, value, 0, skipped),
        ],
        If::Given(argument) => vec![
            statement(LOAD, argument_at(argument)),
            branch(IF_EQUAL, 0, 0, 2),
            statement(LOAD, argument_at(argument) + 4),
            branch(IF_EQUAL, 0, skipped, 0),
        ],
    }
}

/// The offset of the lower half of an argument. Only pointers need the upper half as well.
fn argument_at(number: usize) -> usize {
    offset_of!(seccomp_data, args) + 8 * number
}

fn give(answer: Answer) -> sock_filter {
    let value = match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Fail(error) => libc::SECCOMP_RET_ERRNO | error as u32,
    };
    statement(RETURN, value as usize)
}

fn statement(code: u32, operand: usize) -> sock_filter {
    instruction(code, operand as u32, 0, 0)
}

fn branch(code: u32, operand: u32, when: u8, otherwise: u8) -> sock_filter {
    instruction(code, operand, when, otherwise)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// The length of a jump over `program`. A call has few conditions, so it fits.
fn length(program: &[sock_filter]) -> u8 {
    program.len() as u8
}
