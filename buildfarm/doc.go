// Package buildfarm gives builds to machines: to builders, which are nodes whose
// agents build, and to the control plane's own machine while there are none.
//
// A builder is reached by streams of its agent's link: its Door serves HTTP there,
// one request a stream. A build's request carries the job and its files, the answer
// its log as it comes and then its result. The image goes to the control plane's
// registry at once, so that nothing is lost with a builder but its caches; a build
// whose builder is lost begins again elsewhere.
package buildfarm
