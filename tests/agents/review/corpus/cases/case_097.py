import tornado.ioloop
import tornado.template
import tornado.web


class Card(tornado.web.RequestHandler):
    def get(self):
        motto = self.get_argument("motto", "Carpe diem")
        source = "<blockquote>" + motto + "</blockquote>"
        card = tornado.template.Template(source)
        self.write(card.generate(site="cards"))


def main():
    tornado.web.Application([(r"/card", Card)]).listen(8888)
    tornado.ioloop.IOLoop.current().start()
