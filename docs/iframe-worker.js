// Search runs in a worker, which browsers refuse to a page that is opened as a file: a hidden frame takes its place.
if (location.protocol === "file:") {
  window.Worker = window.IFrameWorker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      frame.worker = this
      const answer = `postMessage = data => frameElement.worker.dispatchEvent(new MessageEvent("message", { data }))`
      frame.srcdoc = `<script>${answer}</script><script src="${url}"></script>`
      this.loaded = new Promise(resolve => (frame.onload = () => resolve(frame.contentWindow)))
      document.body.append(frame)
    }

    postMessage(data) {
      this.loaded.then(frame => frame.dispatchEvent(new MessageEvent("message", { data })))
    }
  }
}
