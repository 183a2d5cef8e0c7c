//! `coreproc_run_report`.

use std::mem::MaybeUninit;

use super::bytes::coreproc_bytes;
use super::call::call;
use super::convert::Operation;
use super::error::{coreproc_error, coreproc_result};
use super::run::coreproc_run;
use crate::ReportFormat;
use crate::error::Result;

/// JSON, `"version": 1`.
pub const COREPROC_REPORT_JSON: u32 = 1;
/// JUnit XML, as CI systems read it: the pipeline is a suite, its specs are test cases; a failure
/// that is allowed is a skipped test.
pub const COREPROC_REPORT_JUNIT: u32 = 2;
/// A Chrome trace, for Perfetto or about:tracing.
pub const COREPROC_REPORT_CHROME_TRACE: u32 = 3;
/// A Gantt chart with the critical path marked, as one self-contained SVG.
pub const COREPROC_REPORT_SVG: u32 = 4;

fn report_format(op: Operation, format: u32) -> Result<ReportFormat> {
    match format {
        COREPROC_REPORT_JSON => Ok(ReportFormat::Json),
        COREPROC_REPORT_JUNIT => Ok(ReportFormat::Junit),
        COREPROC_REPORT_CHROME_TRACE => Ok(ReportFormat::ChromeTrace),
        COREPROC_REPORT_SVG => Ok(ReportFormat::Svg),
        other => Err(op.unknown("format", other)),
    }
}

/// Writes the report of a run that has ended as UTF-8 text: `format` is a COREPROC_REPORT value.
/// Free `*out` with coreproc_bytes_free. Thread-safe.
///
/// Errors: INVALID_ARGUMENT; INVALID_STATE while the run has not ended; PANIC.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn coreproc_run_report(
    run: Option<&coreproc_run>,
    format: u32,
    out: Option<&mut MaybeUninit<Box<coreproc_bytes>>>,
    err: Option<&mut MaybeUninit<*mut coreproc_error>>,
) -> coreproc_result {
    call("report", err, |op| {
        let run = op.handle("run", run)?;
        let format = report_format(op, format)?;
        op.out(out)?.write(coreproc_bytes::new(run.report(op)?.render(format)));
        Ok(())
    })
}
