//! `Permissions-Policy`.

use super::builder::Setting;
use super::reporting::is_origin;
use crate::error::ConfigError;

macro_rules! features {
    (
        $first:ident = $first_text:literal, $first_doc:literal;
        $($name:ident = $text:literal, $doc:literal;)*
    ) => {
        /// A feature of browsers that a page may use, or let others use in frames. Those that no browser has any more, or
        /// yet, are left out: naming them only makes noise in consoles.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Feature {
            #[doc = $first_doc] $first,
            $(#[doc = $doc] $name,)*
        }

        impl Feature {
            /// All of them.
            pub const ALL: &'static [Self] = &[Self::$first, $(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { Self::$first => $first_text, $(Self::$name => $text,)* }
            }
        }

        pub(super) const ALL_OFF: &str = concat!($first_text, "=()", $(", ", $text, "=()",)*);
    };
}

features! {
    Accelerometer = "accelerometer", "The accelerometer.";
    Autoplay = "autoplay", "Sound and video that start by themselves.";
    Bluetooth = "bluetooth", "Web Bluetooth.";
    BrowsingTopics = "browsing-topics", "Interests for advertisements.";
    Camera = "camera", "Cameras.";
    CapturedSurfaceControl = "captured-surface-control", "Scrolling what is captured.";
    ClipboardRead = "clipboard-read", "Reading the clipboard.";
    ClipboardWrite = "clipboard-write", "Writing to the clipboard.";
    ComputePressure = "compute-pressure", "How busy the processor is.";
    CrossOriginIsolated = "cross-origin-isolated", "Shared memory and precise clocks.";
    DeferredFetch = "deferred-fetch", "Requests after the page is gone.";
    DigitalCredentialsGet = "digital-credentials-get", "Documents in wallets.";
    DisplayCapture = "display-capture", "Pictures of the screen.";
    EncryptedMedia = "encrypted-media", "Protected media.";
    Fullscreen = "fullscreen", "The whole screen.";
    Gamepad = "gamepad", "Game controllers.";
    Geolocation = "geolocation", "Where the device is.";
    Gyroscope = "gyroscope", "The gyroscope.";
    Hid = "hid", "Input devices.";
    IdentityCredentialsGet = "identity-credentials-get", "Sign-in through the browser (FedCM).";
    IdleDetection = "idle-detection", "Whether somebody is there.";
    KeyboardMap = "keyboard-map", "The layout of the keyboard.";
    LanguageDetector = "language-detector", "Telling languages, by the browser's model.";
    LanguageModel = "language-model", "The browser's language model.";
    LocalFonts = "local-fonts", "Installed fonts.";
    LocalNetworkAccess = "local-network-access", "Requests to the local network.";
    Magnetometer = "magnetometer", "The compass.";
    Microphone = "microphone", "Microphones.";
    Midi = "midi", "Musical instruments.";
    OnDeviceSpeechRecognition = "on-device-speech-recognition", "Speech to text on the device.";
    OtpCredentials = "otp-credentials", "One-time codes from messages.";
    Payment = "payment", "Payment requests.";
    PictureInPicture = "picture-in-picture", "Video in a window of its own.";
    PrivateStateTokenIssuance = "private-state-token-issuance", "Tokens that vouch for a browser.";
    PublickeyCredentialsCreate = "publickey-credentials-create", "New passkeys.";
    PublickeyCredentialsGet = "publickey-credentials-get", "Sign-in with passkeys.";
    ScreenWakeLock = "screen-wake-lock", "A screen that stays on.";
    Serial = "serial", "Serial ports.";
    SpeakerSelection = "speaker-selection", "Which loudspeaker.";
    StorageAccess = "storage-access", "Cookies in frames of other sites.";
    Summarizer = "summarizer", "Summaries, by the browser's model.";
    SyncXhr = "sync-xhr", "Requests that block the page.";
    Translator = "translator", "Translations, by the browser's model.";
    Unload = "unload", "Handlers that run when the page is left.";
    Usb = "usb", "USB devices.";
    WebShare = "web-share", "Sharing with other applications.";
    WindowManagement = "window-management", "Windows on several screens.";
    XrSpatialTracking = "xr-spatial-tracking", "Virtual and augmented reality.";
}

/// Who may use a feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowlist {
    this: bool,
    any: bool,
    origins: Vec<String>,
}

impl Allowlist {
    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self { this: false, any: false, origins: Vec::new() }
    }

    /// The page itself and frames of its origin.
    #[must_use]
    pub fn this_origin() -> Self {
        Self { this: true, ..Self::none() }
    }

    /// Frames of this origin too: `https://maps.example`.
    #[must_use]
    pub fn add_origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Every frame, whoever is in it.
    #[must_use]
    pub fn danger_everybody() -> Self {
        Self { any: true, ..Self::none() }
    }
}

/// `Permissions-Policy`: every feature known to us is off unless it is turned on here.
///
/// ```
/// use portcullis::headers::{Allowlist, Feature, PermissionsPolicy, SecurityHeaders};
///
/// let policy = PermissionsPolicy::new()
///     .with_feature(Feature::PublickeyCredentialsGet, Allowlist::this_origin())
///     .with_feature(Feature::Geolocation, Allowlist::this_origin().add_origin("https://maps.example"));
/// SecurityHeaders::html().with_permissions_policy(policy).build()?;
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionsPolicy {
    allowed: Vec<(Feature, Allowlist)>,
}

impl PermissionsPolicy {
    /// Everything is off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who may use this feature, in place of what was said before.
    #[must_use]
    pub fn with_feature(mut self, feature: Feature, allowed: Allowlist) -> Self {
        self.allowed.retain(|(other, _)| *other != feature);
        self.allowed.push((feature, allowed));
        self
    }

    pub(super) fn text(&self) -> Result<String, ConfigError> {
        let mut entries = Vec::with_capacity(Feature::ALL.len());
        for feature in Feature::ALL {
            let allowed = self.allowed.iter().find(|(other, _)| other == feature).map(|(_, allowed)| allowed);
            let name = feature.as_str();
            let Some(allowed) = allowed else {
                entries.push(format!("{name}=()"));
                continue;
            };
            if let Some(wrong) = allowed.origins.iter().find(|origin| !is_origin(origin)) {
                return Err(ConfigError::new(
                    format!("Permissions-Policy: {name}"),
                    format!("`{}` is no origin", wrong.escape_debug()),
                    "write `https://name.example`, with a port where it has one and without a path",
                ));
            }
            entries.push(if allowed.any {
                format!("{name}=*")
            } else {
                let this = allowed.this.then(|| "self".to_owned());
                let origins = allowed.origins.iter().map(|origin| format!("\"{origin}\""));
                format!("{name}=({})", this.into_iter().chain(origins).collect::<Vec<_>>().join(" "))
            });
        }
        Ok(entries.join(", "))
    }
}

impl From<PermissionsPolicy> for Setting {
    fn from(policy: PermissionsPolicy) -> Self {
        Self::Permissions(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_off_unless_turned_on() {
        assert_eq!(PermissionsPolicy::new().text().unwrap(), ALL_OFF);
        for feature in Feature::ALL {
            for (allowed, want) in [
                (Allowlist::none(), "()"),
                (Allowlist::this_origin(), "(self)"),
                (
                    Allowlist::this_origin().add_origin("https://a.example:8443"),
                    "(self \"https://a.example:8443\")",
                ),
                (Allowlist::none().add_origin("https://a.example"), "(\"https://a.example\")"),
                (Allowlist::danger_everybody(), "*"),
            ] {
                let text = PermissionsPolicy::new().with_feature(*feature, allowed).text().unwrap();
                assert_eq!(
                    text,
                    ALL_OFF.replacen(&off(*feature), &format!("{}={want}", feature.as_str()), 1)
                );
            }
        }
    }

    fn off(feature: Feature) -> String {
        format!("{}=()", feature.as_str())
    }

    #[test]
    fn an_origin_is_an_origin() {
        for origin in
            ["maps.example", "https://maps.example/", "*", "https://a b", "https://a\"b", "null", ""]
        {
            let policy = PermissionsPolicy::new()
                .with_feature(Feature::Geolocation, Allowlist::none().add_origin(origin));
            assert_eq!(policy.text().unwrap_err().field(), "Permissions-Policy: geolocation", "{origin}");
        }
    }
}
