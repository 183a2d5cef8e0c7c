//! `coreproc_run_report`.

use super::bytes::coreproc_bytes;
use super::error::{coreproc_error, coreproc_result};
use super::guard;
use super::run::coreproc_run;
use crate::ReportFormat;

/// JSON, `"version": 1`.
pub const COREPROC_REPORT_JSON: u32 = 1;
/// JUnit XML, as CI systems read it: the pipeline is a suite, its specs are test cases; a failure that is allowed is a skipped one.
pub const COREPROC_REPORT_JUNIT: u32 = 2;
/// A Chrome trace, for Perfetto or about:tracing.
pub const COREPROC_REPORT_CHROME_TRACE: u32 = 3;
/// A Gantt chart with the critical path marked, as one self-contained SVG.
pub const COREPROC_REPORT_SVG: u32 = 4;

/// What became of a run that has ended, as UTF-8 text: `format` is a COREPROC_REPORT value. `*out` is to be freed
/// with coreproc_bytes_free. Thread-safe. Errors: INVALID_ARGUMENT, INVALID_STATE while the run has not ended,
/// PANIC.
///
/// # Safety
/// Pointers are NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn coreproc_run_report(
    run: *mut coreproc_run,
    format: u32,
    out: *mut *mut coreproc_bytes,
    err: *mut *mut coreproc_error,
) -> coreproc_result {
    const OPERATION: &str = "report";
    // SAFETY: the caller's promises.
    unsafe {
        guard::call(OPERATION, err, || {
            let run = guard::handle(OPERATION, "run", run)?;
            let format = match format {
                COREPROC_REPORT_JSON => ReportFormat::Json,
                COREPROC_REPORT_JUNIT => ReportFormat::Junit,
                COREPROC_REPORT_CHROME_TRACE => ReportFormat::ChromeTrace,
                COREPROC_REPORT_SVG => ReportFormat::Svg,
                other => return Err(guard::unknown(OPERATION, "format", other)),
            };
            let out = guard::out(OPERATION, out)?;
            let text = run.report(OPERATION)?.report.render(format);
            out.write(coreproc_bytes::into_raw(text.into_bytes()));
            Ok(())
        })
    }
}
