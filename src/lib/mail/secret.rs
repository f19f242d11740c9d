//! The connection to a mail server, in secret or not: TLS is compiled in with the feature `tls`.

use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::client::SmtpConnection;
use lettre::transport::smtp::extension::ClientId;

use crate::base::Result;
use crate::config::MailSection;

/// A server: its host and port.
pub(super) type Host<'a> = (&'a str, u16);

#[cfg(not(feature = "tls"))]
mod how {
    use super::*;
    use crate::base::Error;
    use crate::config::Tls;

    /// How the server is spoken to: openly.
    pub struct Secret;

    impl Secret {
        /// Reads what the configuration says.
        ///
        /// # Errors
        /// It wants TLS.
        pub fn new(mail: &MailSection, _: &str) -> Result<Self> {
            match mail.tls {
                Tls::None => Ok(Self),
                Tls::Starttls | Tls::Required => {
                    Err(Error::wrong("cannot use mail.tls: this syncpkg was built without TLS")
                        .hint("build it with: cargo build --release --locked --features tls"))
                }
            }
        }

        /// Connects and says hello.
        pub fn connect(
            &self,
            server: Host,
            timeout: Duration,
            hello: &ClientId,
        ) -> Result<SmtpConnection, SmtpError> {
            SmtpConnection::connect(server, Some(timeout), hello, None, None)
        }
    }
}

#[cfg(feature = "tls")]
mod how {
    use lettre::transport::smtp::client::{Certificate, TlsParameters};

    use super::*;
    use crate::base::{Error, durable};
    use crate::config::Tls;

    /// How the server is spoken to.
    pub struct Secret {
        tls: Tls,
        parameters: Option<TlsParameters>,
    }

    impl Secret {
        /// Reads what the configuration says; `host` is who the server has to prove to be.
        ///
        /// # Errors
        /// `mail.ca` that is no certificate.
        pub fn new(mail: &MailSection, host: &str) -> Result<Self> {
            let parameters = if mail.tls == Tls::None { None } else { Some(parameters(mail, host)?) };
            Ok(Self { tls: mail.tls, parameters })
        }

        /// Connects and says hello; nothing is said openly that was to be secret.
        pub fn connect(
            &self,
            server: Host,
            timeout: Duration,
            hello: &ClientId,
        ) -> Result<SmtpConnection, SmtpError> {
            let parameters = self.parameters.as_ref();
            let first = parameters.filter(|_| self.tls == Tls::Required);
            let mut connection = SmtpConnection::connect(server, Some(timeout), hello, first, None)?;
            if let Some(parameters) = parameters.filter(|_| self.tls == Tls::Starttls) {
                connection.starttls(parameters, hello)?;
            }
            Ok(connection)
        }
    }

    fn parameters(mail: &MailSection, host: &str) -> Result<TlsParameters> {
        let wrong = |source: SmtpError| Error::wrong(format!("cannot use mail.tls: {source}"));
        let mut builder = TlsParameters::builder(host.to_owned());
        if let Some(path) = &mail.ca {
            let pem = durable::read(path, 1 << 20)?;
            builder = builder.add_root_certificate(Certificate::from_pem(&pem).map_err(wrong)?);
        }
        builder.build().map_err(wrong)
    }
}

pub(super) use how::Secret;
