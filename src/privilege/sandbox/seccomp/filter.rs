//! Compiles filters of system calls to programs for the kernel (BPF).
//!
//! Crates for this do not know x32. On kernels with that ABI each call of x86_64 has a second number, and a
//! list of denied calls must cover those too.
#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;

use libc::{c_long, seccomp_data, sock_filter, sock_fprog};

/// A condition on an argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum If {
    /// The argument, masked, is this.
    Is(usize, u32, u32),
    /// The argument, masked, is something else.
    IsNot(usize, u32, u32),
    /// The argument, a pointer, is not null.
    Given(usize),
}

/// Denies a call with an error when all conditions hold.
#[derive(Debug, Clone)]
pub struct Rule {
    pub call: c_long,
    pub when: Vec<If>,
    pub error: i32,
}

/// A compiled list of rules. The rules about one call are tried in their order, and calls in the order
/// of the first rule about each.
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
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// An operation of prctl(2) that no kernel knows, and the error with which our filter answers it.
const QUESTION: i32 = 0x6570_6361;
const ANSWER: i32 = libc::EOWNERDEAD;

impl Filter {
    /// Compiles rules to a program that also denies every call of another ABI.
    pub fn new(rules: &[Rule]) -> Self {
        let number = offset_of!(seccomp_data, nr);
        let mut program = vec![
            statement(LOAD, offset_of!(seccomp_data, arch)),
            branch(IF_EQUAL, ARCHITECTURE, 1, 0),
            fail(libc::EPERM),
            statement(LOAD, number),
            branch(IF_AT_LEAST, X32, 0, 2),
            branch(IF_EQUAL, NO_CALL, 1, 0),
            fail(libc::EPERM),
        ];
        let question =
            Rule { call: libc::SYS_prctl, when: vec![If::Is(0, u32::MAX, QUESTION as u32)], error: ANSWER };
        let mut left: Vec<&Rule> = rules.iter().chain([&question]).collect();
        while let Some(call) = left.first().map(|rule| rule.call) {
            let (of_this_call, others) = left.into_iter().partition(|rule| rule.call == call);
            left = others;
            let mut body = of_one_call(of_this_call);
            program.push(branch(IF_EQUAL, low(call), 0, length(&body)));
            program.append(&mut body);
        }
        program.push(statement(RETURN, libc::SECCOMP_RET_ALLOW as usize));
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

/// Decides about one call by all rules about it, so that a frequent call is not compared with the rules
/// about others.
fn of_one_call(rules: Vec<&Rule>) -> Vec<sock_filter> {
    let mut body = Vec::new();
    for rule in &rules {
        // Built from the last condition to the first: each jumps over what follows where it does not hold.
        let mut tested = vec![fail(rule.error)];
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
    body.push(statement(RETURN, libc::SECCOMP_RET_ALLOW as usize));
    body
}

/// Continues where the condition holds; otherwise skips `skipped` instructions.
fn test(condition: If, skipped: u8) -> Vec<sock_filter> {
    let masked = |argument, mask| {
        let load = statement(LOAD, argument_at(argument));
        if mask == u32::MAX { vec![load] } else { vec![load, statement(AND, mask as usize)] }
    };
    match condition {
        If::Is(argument, mask, value) => {
            let mut program = masked(argument, mask);
            program.push(branch(IF_EQUAL, value, 0, skipped));
            program
        }
        If::IsNot(argument, mask, value) => {
            let mut program = masked(argument, mask);
            program.push(branch(IF_EQUAL, value, skipped, 0));
            program
        }
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

fn fail(error: i32) -> sock_filter {
    statement(RETURN, (libc::SECCOMP_RET_ERRNO | error as u32) as usize)
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

fn low(number: c_long) -> u32 {
    number as u32
}

/// The length of a jump over `program`. A call has few conditions, so it fits.
fn length(program: &[sock_filter]) -> u8 {
    program.len() as u8
}
