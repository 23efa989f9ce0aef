package protocol

// CertificatePath is where an agent asks for the certificate that it proves itself
// with to other agents.
const CertificatePath = "/api/internal/paas/nodes/certificate"

// PeerName is the name of a Node in its certificate.
func PeerName(node string) string { return node + ".node.sky" }

// CertificateRequest asks to certify a key (PKCS #10, RFC 2986, in PEM). Whose it
// is, the credential says.
type CertificateRequest struct {
	Request string `json:"request"`
}

// CertificateAnswer is the certificate, and that of who made it, in PEM.
type CertificateAnswer struct {
	Certificate string `json:"certificate"`
	Authority   string `json:"authority"`
}
