//! Everything a key may be bound to, and where. Keymap files name these ids and nothing
//! else, so no file can reach the console's inner messages.

use std::fmt;

use super::tabs::Tab;
use crate::domain::capability::Capability;

macro_rules! commands {
    ($($variant:ident, $id:literal, $help:literal, $description:literal;)+) => {
        /// What a key, or an entry of the palette, can ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Command {
            $(#[doc = $description] $variant,)+
        }

        impl Command {
            /// Every command, in the order help lists them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The id that keymap files and the palette use.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// A word or two for the footer, at most 14 characters.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)+ }
            }

            /// One line for the help screen and the palette.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }

            /// The command with this id.
            pub fn parse(id: &str) -> Option<Self> {
                match id { $($id => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

commands! {
    AppQuit, "app.quit", "quit", "Leave the console";
    AppClose, "app.close", "close", "Close what is open, or else leave the console";
    AppHelp, "app.help", "help", "Show the keys that work here";
    AppPalette, "app.palette", "command", "Find a command by its name";
    AppBack, "app.back", "back", "Go one level back; never leaves the console";
    AppRedraw, "app.redraw", "redraw", "Draw the whole screen again";
    AppSuspend, "app.suspend", "suspend", "Put the console into the background; fg brings it back";
    AppLogout, "app.logout", "log out", "End this session and return to the login";
    TabNext, "tab.next", "next tab", "Go to the next tab";
    TabPrevious, "tab.previous", "previous tab", "Go to the previous tab";
    TabOverview, "tab.overview", "overview", "Go to the overview: is anything wrong, what, what next";
    TabOperations, "tab.operations", "operations", "Go to the list of operation runs";
    TabRun, "tab.run", "run", "Go to the run opened last";
    TabTelemetry, "tab.telemetry", "telemetry", "Go to the telemetry: what customers use";
    TabSupport, "tab.support", "support", "Go to support: requests, tenants and diagnostics";
    TabRunbooks, "tab.runbooks", "runbooks", "Go to the runbooks: start maintenance step by step";
    TabInbox, "tab.inbox", "inbox", "Go to the inbox: what you started and has ended";
    TabWorkers, "tab.workers", "workers", "Go to the workers and what they hold";
    HistoryBack, "history.back", "where I was", "Go back to the place before this one";
    HistoryForward, "history.forward", "forward", "Go forward again in the history of places";
    CursorUp, "cursor.up", "up", "Move up one row";
    CursorDown, "cursor.down", "down", "Move down one row";
    CursorPageUp, "cursor.page_up", "page up", "Move up one page";
    CursorPageDown, "cursor.page_down", "page down", "Move down one page";
    CursorFirst, "cursor.first", "first", "Move to the first row";
    CursorLast, "cursor.last", "last", "Move to the last row";
    CursorLeft, "cursor.left", "left", "Move to what stands before, in the row or above";
    CursorRight, "cursor.right", "next", "Move to what stands next, in the row or below";
    RowOpen, "row.open", "open", "Open the selected row";
    ListOlder, "list.older", "older", "Load the next page of older rows";
    FilterEdit, "filter.edit", "filter", "Edit the filter of the list, or search a text";
    FilterClear, "filter.clear", "clear", "Clear the text being typed, or the filter";
    FilterAccept, "filter.accept", "accept", "Apply what was typed";
    FilterComplete, "filter.complete", "complete", "Complete the word being typed";
    MatchNext, "match.next", "next problem", "Move to the next problem or hit";
    MatchPrevious, "match.previous", "prev. problem", "Move to the previous problem or hit";
    PollPause, "poll.pause", "freeze", "Freeze or resume live updates";
    PollFaster, "poll.faster", "faster", "Ask for updates more often";
    PollSlower, "poll.slower", "slower", "Ask for updates less often";
    PollNow, "poll.now", "refresh", "Ask for an update now";
    CopyId, "copy.id", "copy id", "Send the selected id to the terminal's clipboard";
    TimeToggle, "time.toggle", "UTC/local", "Show times in UTC or in the local zone";
    ThemeNext, "theme.next", "next theme", "Change to the next theme";
    FoldToggle, "fold.toggle", "fold", "Open or close the selected section";
    FoldAll, "fold.all", "fold all", "Open or close every section";
    DetailSameFailures, "detail.same_failures", "same failures", "List the runs that failed for the same reason";
    InboxMarkRead, "inbox.mark_read", "mark read", "Mark the selected notification as read";
    InboxMarkAllRead, "inbox.mark_all_read", "mark all read", "Mark every notification as read";
    InboxUnreadOnly, "inbox.unread_only", "unread/all", "Show unread notifications only, or all of them";
    OverviewErrors, "overview.errors", "errors", "Show the error groups of the window";
    SampleOpen, "sample.open", "open sample", "Open the run of the sample of an error";
    WindowNext, "window.next", "longer window", "Look further back: 1h, 24h, 7d, 30d, and round again";
    WindowPrevious, "window.previous", "shorter window", "Look less far back, and round again";
    SupportRequest, "support.request", "support", "Ask for support for what is shown or selected";
    SupportDiagnostics, "support.diagnostics", "diagnostics", "Open support diagnostics of it; audited each time";
    SupportTenant, "support.tenant", "tenant", "Show the tenant of it: runs, findings, requests";
    SupportTenants, "support.tenants", "tenants", "Find a tenant";
    DiagnosticsExport, "diagnostics.export", "export", "Write the diagnostics into files, as JSON and Markdown";
    RunRetry, "run.retry", "retry", "Retry the targets that failed or never ran; asks first";
    RunCancel, "run.cancel", "cancel", "Cancel the run; asks first";
    RunPause, "run.pause", "pause run", "Pause or resume the run; asks first";
    RunClose, "run.close", "force close", "Close a run that does not stop by force; asks first";
    WaitForWorker, "worker.wait", "wait for one", "Queue the new run although it waits for a worker";
    BreakGlassToggle, "break_glass.toggle", "break-glass", "Take break-glass, or end it; asks first";
    WizardNext, "wizard.next", "go on", "Go on to the next step of the wizard";
    ScopeNextWay, "scope.next_way", "next way", "Select in the next way: tenants, a workspace, or all";
    ScopePreviousWay, "scope.previous_way", "previous way", "Select in the previous way";
    ScopeMark, "scope.mark", "mark", "Mark or unmark what is under the cursor";
    ScopeUnmark, "scope.unmark", "unmark all", "Remove every mark";
    PreflightNew, "preflight.new", "new preflight", "Count again what the runbook would change";
    PreflightCancel, "preflight.cancel", "cancel", "Cancel the preflight that is counting";
    PlanAffectedOnly, "plan.affected_only", "affected/all", "Show targets with something to change only, or all";
    PlanExport, "plan.export", "export", "Write all targets of the plan into a file (CSV)";
    CommandCopy, "command.copy", "copy command", "Send the command that does the same to the clipboard";
    FieldNext, "field.next", "next field", "Go to the next field";
    FieldPrevious, "field.previous", "previous field", "Go to the previous field";
    FormSubmit, "form.submit", "submit", "Send the form";
    ComposePreview, "compose.preview", "preview", "See what would be stored of the request";
    ComposeSend, "compose.send", "send", "Send the request as the preview shows it";
    ComposeWithhold, "compose.withhold", "leave out", "Leave an item out of it, or take it in again";
    ComposeMask, "compose.mask", "mask", "Mask a passage wherever it stands";
    ComposeUnmask, "compose.unmask", "unmask own", "Take back what was masked by hand last";
    ComposeDiscard, "compose.discard", "discard", "Discard the draft; asks first";
    ComposeShow, "compose.show", "show it", "Show the request that was sent";
    TextUndo, "text.undo", "undo", "Undo the last edit of the text";
    TextRedo, "text.redo", "redo", "Redo the edit that was undone";
}

impl Command {
    /// Whether it means the console rather than what is shown, on every tab.
    pub fn is_everywhere(self) -> bool {
        let general = matches!(
            self,
            Self::TabNext
                | Self::TabPrevious
                | Self::HistoryBack
                | Self::HistoryForward
                | Self::PollPause
                | Self::PollFaster
                | Self::PollSlower
                | Self::CopyId
                | Self::SupportRequest
                | Self::SupportDiagnostics
                | Self::SupportTenant
                | Self::SupportTenants
                | Self::RunRetry
                | Self::RunCancel
                | Self::RunPause
                | Self::RunClose
                | Self::BreakGlassToggle
        );
        general || Tab::of(self).is_some()
    }

    /// The capability without which the command cannot do anything, for greying it out.
    /// The check that counts is made where the data is read or written.
    pub const fn capability(self) -> Option<Capability> {
        match self {
            Self::TabOperations
            | Self::TabRun
            | Self::TabWorkers
            | Self::ListOlder
            | Self::FilterEdit
            | Self::MatchNext
            | Self::MatchPrevious
            | Self::DetailSameFailures => Some(Capability::OpsView),
            Self::TabRunbooks => Some(Capability::RunbooksView),
            Self::SampleOpen | Self::SupportTenant | Self::SupportTenants => {
                Some(Capability::OpsView)
            }
            Self::SupportRequest => Some(Capability::SupportRequestsCreate),
            Self::SupportDiagnostics | Self::DiagnosticsExport => {
                Some(Capability::SupportDiagnosticsView)
            }
            Self::RunRetry | Self::RunCancel | Self::RunPause | Self::RunClose => {
                Some(Capability::OpsManage)
            }
            Self::BreakGlassToggle => Some(Capability::BreakGlassUse),
            _ => None,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

/// Where a key is pressed; a keymap file has one section for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Everywhere; every other context is asked first.
    Global,
    /// Health, numbers and failures of a window.
    Overview,
    /// The error groups of a window.
    Errors,
    /// What came of retrying the runs of an error.
    Report,
    /// The list of runs.
    Operations,
    /// The detail of one run.
    Run,
    /// What customers use.
    Telemetry,
    /// The list of support requests.
    Requests,
    /// One support request.
    Request,
    /// The list of tenants.
    Tenants,
    /// A tenant at a glance.
    Tenant,
    /// The choice of one of a run's tenants.
    RunTenants,
    /// Support diagnostics.
    Diagnostics,
    /// A search, which is a text field.
    Search,
    /// The person's notifications.
    Inbox,
    /// Workers and what they hold.
    Workers,
    /// The list of runbooks.
    Runbooks,
    /// The choice of a runbook's scope.
    Scope,
    /// A preflight and its plan.
    Plan,
    /// A start that was refused and needs a new preflight.
    Refused,
    /// The phrase that starts a runbook, which is a text field.
    Phrase,
    /// The question before a draft is discarded; any text answers it.
    Discard,
    /// The help overlay.
    Help,
    /// The command palette, which holds a text field.
    Palette,
    /// The filter line, which is a text field.
    Filter,
    /// The dialog before a change, which holds a text field.
    Confirm,
    /// A form, which is made of text fields.
    Form,
    /// A request that is being written, in a field of one line.
    Compose,
    /// Its notes, a text field of several lines.
    Notes,
    /// What would be stored of it.
    Preview,
    /// A passage to be masked, which is a text field.
    Mask,
    /// A request that was sent.
    Sent,
    /// The login form, which is made of text fields.
    Login,
}

impl Context {
    /// Every context, `Global` first.
    pub const ALL: &'static [Self] = &[
        Self::Global,
        Self::Overview,
        Self::Errors,
        Self::Report,
        Self::Operations,
        Self::Run,
        Self::Telemetry,
        Self::Requests,
        Self::Request,
        Self::Tenants,
        Self::Tenant,
        Self::RunTenants,
        Self::Diagnostics,
        Self::Search,
        Self::Inbox,
        Self::Workers,
        Self::Runbooks,
        Self::Scope,
        Self::Plan,
        Self::Refused,
        Self::Phrase,
        Self::Discard,
        Self::Help,
        Self::Palette,
        Self::Filter,
        Self::Confirm,
        Self::Form,
        Self::Compose,
        Self::Notes,
        Self::Preview,
        Self::Mask,
        Self::Sent,
        Self::Login,
    ];

    /// Its heading in the help.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Global => "Everywhere",
            Self::Overview => "In the overview",
            Self::Errors => "In the list of errors",
            Self::Report => "After a retry of an error",
            Self::Operations => "In the list of runs",
            Self::Run => "In a run",
            Self::Telemetry => "In the telemetry",
            Self::Requests => "In the list of support requests",
            Self::Request => "In a support request",
            Self::Tenants => "In the list of tenants",
            Self::Tenant => "In a tenant",
            Self::RunTenants => "While a tenant of a run is selected",
            Self::Diagnostics => "In diagnostics",
            Self::Search => "In a search",
            Self::Inbox => "In the inbox",
            Self::Workers => "In the list of workers",
            Self::Runbooks => "In the list of runbooks",
            Self::Scope => "While a scope is selected",
            Self::Plan => "In a preflight",
            Self::Refused => "After a refused start",
            Self::Phrase => "Before a start",
            Self::Discard => "Before a draft is discarded",
            Self::Help => "In this help",
            Self::Palette => "In the command palette",
            Self::Filter => "In the filter line",
            Self::Confirm => "In a confirmation",
            Self::Form => "In a form",
            Self::Compose => "While a support request is written",
            Self::Notes => "In the notes of a support request",
            Self::Preview => "Before a support request is sent",
            Self::Mask => "While a passage to mask is typed",
            Self::Sent => "After a support request was sent",
            Self::Login => "In the login",
        }
    }

    /// The name of its section in a keymap file.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Overview => "overview",
            Self::Errors => "errors",
            Self::Report => "report",
            Self::Operations => "operations",
            Self::Run => "run",
            Self::Telemetry => "telemetry",
            Self::Requests => "requests",
            Self::Request => "request",
            Self::Tenants => "tenants",
            Self::Tenant => "tenant",
            Self::RunTenants => "run_tenants",
            Self::Diagnostics => "diagnostics",
            Self::Search => "search",
            Self::Inbox => "inbox",
            Self::Workers => "workers",
            Self::Runbooks => "runbooks",
            Self::Scope => "scope",
            Self::Plan => "plan",
            Self::Refused => "refused",
            Self::Phrase => "phrase",
            Self::Discard => "discard",
            Self::Help => "help",
            Self::Palette => "palette",
            Self::Filter => "filter",
            Self::Confirm => "confirm",
            Self::Form => "form",
            Self::Compose => "compose",
            Self::Notes => "notes",
            Self::Preview => "preview",
            Self::Mask => "mask",
            Self::Sent => "sent",
            Self::Login => "login",
        }
    }

    /// The context with this section name.
    pub fn parse(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|context| context.id() == id)
    }

    /// Whether printable keys belong to a text field here.
    pub const fn is_text(self) -> bool {
        matches!(
            self,
            Self::Phrase
                | Self::Refused
                | Self::Discard
                | Self::Palette
                | Self::Filter
                | Self::Search
                | Self::Confirm
                | Self::Form
                | Self::Compose
                | Self::Notes
                | Self::Mask
                | Self::Login
        )
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_texts_fit() {
        for command in Command::ALL {
            assert_eq!(Command::parse(command.id()), Some(*command));
            assert!(command.help().chars().count() <= 14, "{command}");
            assert!(command.description().chars().count() <= 60, "{command}");
        }
        assert_eq!(Command::parse("app.explode"), None);
        for context in Context::ALL {
            assert_eq!(Context::parse(context.id()), Some(*context));
        }
    }
}
